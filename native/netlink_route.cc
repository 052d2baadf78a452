/* SPDX-License-Identifier: Apache-2.0 */
/* Unicast routes of the main table: list, replace, delete. */
#include "netlink.h"

#include <linux/rtnetlink.h>

#include <cerrno>

#include "error.h"

namespace isthmus
{
namespace
{

std::string DestinationOf(rtnl_route *route)
{
	const nl_addr *destination = rtnl_route_get_dst(route);
	const bool ipv6 = rtnl_route_get_family(route) == AF_INET6;
	if (!destination || !nl_addr_get_len(destination))
		return ipv6 ? "::/0" : "0.0.0.0/0";
	return FormatCidr(destination, nl_addr_get_prefixlen(destination));
}

void DescribeNexthop(Napi::Object &info, rtnl_route *route, rtnl_nexthop *nexthop)
{
	const Napi::Env env = info.Env();
	const nl_addr *gateway = rtnl_route_nh_get_gateway(nexthop);
	if (!gateway) /* an IPv4 route through an IPv6 gateway (RTA_VIA) */
		gateway = rtnl_route_nh_get_via(nexthop);
	if (gateway)
		info["gateway"] = Napi::String::New(env, FormatAddress(gateway));
	info["ifindex"] = Napi::Number::New(env, rtnl_route_nh_get_ifindex(nexthop));
	if ((rtnl_route_nh_get_flags(nexthop) | rtnl_route_get_flags(route)) & RTNH_F_ONLINK)
		info["onlink"] = Napi::Boolean::New(env, true);
}

Napi::Object Describe(Napi::Env env, rtnl_route *route, rtnl_nexthop *nexthop)
{
	uint32_t mtu = 0;
	const uint8_t scope = rtnl_route_get_scope(route);
	const nl_addr *source = rtnl_route_get_pref_src(route);
	Napi::Object info = Napi::Object::New(env);
	info["destination"] = Napi::String::New(env, DestinationOf(route));
	DescribeNexthop(info, route, nexthop);
	if (!rtnl_route_get_metric(route, RTAX_MTU, &mtu) && mtu)
		info["mtu"] = Napi::Number::New(env, mtu);
	if (scope == RT_SCOPE_LINK || scope == RT_SCOPE_UNIVERSE)
		info["scope"] = Napi::String::New(env, scope == RT_SCOPE_LINK ? "link" : "global");
	if (source)
		info["source"] = Napi::String::New(env, FormatAddress(source));
	return info;
}

bool IsShown(rtnl_route *route)
{
	return rtnl_route_get_table(route) == RT_TABLE_MAIN &&
	       rtnl_route_get_type(route) == RTN_UNICAST &&
	       !(rtnl_route_get_flags(route) & RTM_F_CLONED);
}

std::string TextIn(const Napi::Object &options, const char *key)
{
	const Napi::Value value = options.Get(key);
	return value.IsUndefined() ? "" : value.As<Napi::String>().Utf8Value();
}

/* The route takes the next hop over. */
void AddNexthop(rtnl_route *route, const Napi::Object &options)
{
	const Napi::Env env = options.Env();
	const std::string text = TextIn(options, "gateway");
	const NlAddressHandle gateway = text.empty() ? nullptr : ParseAddress(env, text);
	const int ifindex = options.Get("ifindex").As<Napi::Number>().Int32Value();
	rtnl_nexthop *nexthop = rtnl_route_nh_alloc();
	if (!nexthop)
		throw MakeError(env, {ENOMEM, "make next hop", text, "", ""});
	rtnl_route_nh_set_ifindex(nexthop, ifindex);
	if (gateway)
		rtnl_route_nh_set_gateway(nexthop, gateway.get());
	if (options.Get("onlink").ToBoolean()) {
		rtnl_route_nh_set_flags(nexthop, RTNH_F_ONLINK);
		rtnl_route_set_flags(route, RTNH_F_ONLINK);
	}
	rtnl_route_add_nexthop(route, nexthop);
}

RouteHandle Build(const Napi::Object &options)
{
	const NlAddressHandle destination =
		ParseAddress(options.Env(), TextIn(options, "destination"));
	RouteHandle route(rtnl_route_alloc());
	if (!route)
		throw MakeError(options.Env(), {ENOMEM, "make route", "", "", ""});
	rtnl_route_set_family(route.get(),
			      static_cast<uint8_t>(nl_addr_get_family(destination.get())));
	rtnl_route_set_dst(route.get(), destination.get());
	rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
	AddNexthop(route.get(), options);
	return route;
}

void SetScope(rtnl_route *route, const Napi::Object &options)
{
	const std::string scope = TextIn(options, "scope");
	const bool link = scope.empty() ? options.Get("gateway").IsUndefined() : scope == "link";
	const bool ipv4 = rtnl_route_get_family(route) == AF_INET;
	rtnl_route_set_scope(route, link && ipv4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
}

void SetAttributes(rtnl_route *route, const Napi::Object &options)
{
	const std::string source = TextIn(options, "source");
	const Napi::Value mtu = options.Get("mtu");
	SetScope(route, options);
	rtnl_route_set_protocol(route, RTPROT_STATIC);
	if (!source.empty())
		rtnl_route_set_pref_src(route, ParseAddress(options.Env(), source).get());
	if (!mtu.IsUndefined())
		rtnl_route_set_metric(route, RTAX_MTU, mtu.As<Napi::Number>().Uint32Value());
}

std::string SubjectOf(const Napi::Object &options)
{
	const std::string gateway = TextIn(options, "gateway");
	std::string text = TextIn(options, "destination");
	if (!gateway.empty())
		text += " via " + gateway;
	return text + " on link " + options.Get("ifindex").ToString().Utf8Value();
}

} // namespace

/* A route with several next hops is shown once for each. */
Napi::Value Netlink::Routes(const Napi::CallbackInfo &info)
{
	const CacheHandle cache = Dump("list routes", [](nl_sock *socket, nl_cache **result) {
		return rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, result);
	});
	Napi::Array routes = Napi::Array::New(info.Env());
	for (nl_object *object = nl_cache_get_first(cache.get()); object;
	     object = nl_cache_get_next(object)) {
		auto *route = reinterpret_cast<rtnl_route *>(object);
		const int count = IsShown(route) ? rtnl_route_get_nnexthops(route) : 0;
		for (int i = 0; i < count; i++)
			routes[routes.Length()] =
				Describe(info.Env(), route, rtnl_route_nexthop_n(route, i));
	}
	return routes;
}

void Netlink::ReplaceRoute(const Napi::CallbackInfo &info)
{
	const auto options = info[0].As<Napi::Object>();
	const RouteHandle route = Build(options);
	SetAttributes(route.get(), options);
	Check(rtnl_route_add(Socket(), route.get(), NLM_F_CREATE | NLM_F_REPLACE), "replace route",
	      SubjectOf(options));
}

/* Of any scope and protocol: destination, gateway and device say which. */
Napi::Value Netlink::DeleteRoute(const Napi::CallbackInfo &info)
{
	const auto options = info[0].As<Napi::Object>();
	const RouteHandle route = Build(options);
	rtnl_route_set_scope(route.get(), RT_SCOPE_NOWHERE);
	rtnl_route_set_protocol(route.get(), RTPROT_UNSPEC);
	const int rc = rtnl_route_delete(Socket(), route.get(), 0);
	return Napi::Boolean::New(info.Env(), CheckFound(rc, "delete route", SubjectOf(options)));
}

} // namespace isthmus
