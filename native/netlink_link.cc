/* SPDX-License-Identifier: Apache-2.0 */
/* Links: list, find, create as veth pairs, change, delete. */
#include "netlink.h"

#include <net/if.h>
#include <netlink/route/link/veth.h>

#include <cerrno>

#include "error.h"
#include "net_classes.h"

namespace isthmus
{
namespace
{

std::string TextOf(const char *text)
{
	return text ? text : "";
}

/* IFLA_LINK of other kinds names the device below, which is no peer. */
int PeerOf(rtnl_link *link)
{
	const std::string kind = TextOf(rtnl_link_get_type(link));
	return kind == "veth" || kind == "netkit" ? rtnl_link_get_link(link) : 0;
}

Napi::Object Describe(Napi::Env env, rtnl_link *link)
{
	Napi::Object info = Napi::Object::New(env);
	info["ifindex"] = Napi::Number::New(env, rtnl_link_get_ifindex(link));
	info["name"] = Napi::String::New(env, TextOf(rtnl_link_get_name(link)));
	info["kind"] = Napi::String::New(env, TextOf(rtnl_link_get_type(link)));
	info["mac"] = Napi::String::New(env, FormatAddress(rtnl_link_get_addr(link)));
	info["mtu"] = Napi::Number::New(env, rtnl_link_get_mtu(link));
	info["up"] = Napi::Boolean::New(env, (rtnl_link_get_flags(link) & IFF_UP) != 0);
	info["peer"] = Napi::Number::New(env, PeerOf(link));
	return info;
}

std::string NameIn(const Napi::Object &options, const char *key)
{
	const std::string name = options.Get(key).As<Napi::String>().Utf8Value();
	if (name.empty() || name.size() >= IFNAMSIZ)
		throw MakeError(options.Env(),
				{EINVAL, "name link", name, "a name has 1 to 15 bytes", ""});
	return name;
}

void SetEnd(rtnl_link *link, const Napi::Object &options, const std::string &name,
	    const char *mac_key)
{
	const Napi::Env env = options.Env();
	const std::string text = options.Get(mac_key).As<Napi::String>().Utf8Value();
	const NlAddressHandle mac = ParseMac(env, text);
	rtnl_link_set_name(link, name.c_str());
	rtnl_link_set_addr(link, mac.get());
	rtnl_link_set_mtu(link, options.Get("mtu").As<Napi::Number>().Uint32Value());
}

Netlink *PeerNamespace(const Napi::Object &options)
{
	const Napi::Value value = options.Get("peerNamespace");
	const auto *classes = options.Env().GetInstanceData<NetClasses>();
	if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(classes->netlink.Value()))
		throw Napi::TypeError::New(options.Env(), "peerNamespace is not a Netlink");
	return Netlink::Unwrap(value.As<Napi::Object>());
}

LinkHandle LinkOf(Napi::Env env, int ifindex)
{
	LinkHandle link(rtnl_link_alloc());
	if (!link)
		throw MakeError(env, {ENOMEM, "make link", "", "", ""});
	rtnl_link_set_ifindex(link.get(), ifindex);
	return link;
}

std::string SubjectOf(int ifindex)
{
	return "link " + std::to_string(ifindex);
}

} // namespace

Napi::Value Netlink::Links(const Napi::CallbackInfo &info)
{
	const CacheHandle cache = Dump("list links", [](nl_sock *socket, nl_cache **result) {
		return rtnl_link_alloc_cache(socket, AF_UNSPEC, result);
	});
	Napi::Array links = Napi::Array::New(info.Env());
	for (nl_object *object = nl_cache_get_first(cache.get()); object;
	     object = nl_cache_get_next(object))
		links[links.Length()] = Describe(info.Env(), reinterpret_cast<rtnl_link *>(object));
	return links;
}

LinkHandle Netlink::FindLink(int ifindex, const std::string &name)
{
	rtnl_link *link = nullptr;
	const int rc = rtnl_link_get_kernel(Socket(), ifindex,
					    name.empty() ? nullptr : name.c_str(), &link);
	const std::string subject = name.empty() ? SubjectOf(ifindex) : name;
	return CheckFound(rc, "find link", subject) ? LinkHandle(link) : nullptr;
}

Napi::Value Netlink::Link(const Napi::CallbackInfo &info)
{
	const bool by_name = info[0].IsString();
	const std::string name = by_name ? info[0].As<Napi::String>().Utf8Value() : "";
	const int ifindex = by_name ? 0 : info[0].As<Napi::Number>().Int32Value();
	if (by_name ? name.empty() || name.size() >= IFNAMSIZ : ifindex <= 0)
		return info.Env().Undefined();
	const LinkHandle link = FindLink(ifindex, name);
	return link ? Describe(info.Env(), link.get()) : info.Env().Undefined();
}

Napi::Value Netlink::AddVeth(const Napi::CallbackInfo &info)
{
	const auto options = info[0].As<Napi::Object>();
	const std::string name = NameIn(options, "name");
	const std::string peer_name = NameIn(options, "peerName");
	const LinkHandle link(rtnl_link_veth_alloc());
	if (!link)
		throw MakeError(info.Env(), {ENOMEM, "make veth", name, "", ""});
	const LinkHandle peer(rtnl_link_veth_get_peer(link.get()));
	SetEnd(link.get(), options, name, "mac");
	SetEnd(peer.get(), options, peer_name, "peerMac");
	rtnl_link_set_ns_fd(peer.get(), PeerNamespace(options)->namespace_.Get());
	Check(rtnl_link_add(Socket(), link.get(), NLM_F_CREATE | NLM_F_EXCL), "add veth", name);
	const LinkHandle made = FindLink(0, name);
	if (!made)
		throw MakeError(info.Env(), {ENODEV, "find new veth", name, "", ""});
	return Describe(info.Env(), made.get());
}

Napi::Value Netlink::DeleteLink(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const LinkHandle link = LinkOf(info.Env(), ifindex);
	const int rc = rtnl_link_delete(Socket(), link.get());
	return Napi::Boolean::New(info.Env(), CheckFound(rc, "delete link", SubjectOf(ifindex)));
}

void Netlink::ChangeLink(int ifindex, rtnl_link *changes, const char *operation)
{
	const LinkHandle link = LinkOf(Env(), ifindex);
	Check(rtnl_link_change(Socket(), link.get(), changes, 0), operation, SubjectOf(ifindex));
}

void Netlink::SetUp(const Napi::CallbackInfo &info)
{
	const LinkHandle changes = LinkOf(info.Env(), 0);
	rtnl_link_set_flags(changes.get(), IFF_UP);
	ChangeLink(info[0].As<Napi::Number>().Int32Value(), changes.get(), "set up");
}

void Netlink::SetMtu(const Napi::CallbackInfo &info)
{
	const LinkHandle changes = LinkOf(info.Env(), 0);
	rtnl_link_set_mtu(changes.get(), info[1].As<Napi::Number>().Uint32Value());
	ChangeLink(info[0].As<Napi::Number>().Int32Value(), changes.get(), "set MTU of");
}

} // namespace isthmus
