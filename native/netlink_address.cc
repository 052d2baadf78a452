/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of links: list, add, delete. */
#include "netlink.h"

#include <linux/if_addr.h>

#include <cerrno>
#include <cstdint>

#include "error.h"

namespace isthmus
{
namespace
{

/* As a lifetime of an address, in seconds. */
constexpr uint32_t FOREVER = 0xffffffff;

const char *ScopeName(int scope)
{
	switch (scope) {
	case RT_SCOPE_LINK:
		return "link";
	case RT_SCOPE_HOST:
		return "host";
	case RT_SCOPE_SITE:
		return "site";
	default:
		return "global";
	}
}

Napi::Object Describe(Napi::Env env, rtnl_addr *address)
{
	const auto prefix_length = static_cast<unsigned int>(rtnl_addr_get_prefixlen(address));
	Napi::Object info = Napi::Object::New(env);
	info["ifindex"] = Napi::Number::New(env, rtnl_addr_get_ifindex(address));
	info["address"] =
		Napi::String::New(env, FormatCidr(rtnl_addr_get_local(address), prefix_length));
	info["scope"] = Napi::String::New(env, ScopeName(rtnl_addr_get_scope(address)));
	return info;
}

AddressHandle Build(const Napi::CallbackInfo &info)
{
	const NlAddressHandle local =
		ParseAddress(info.Env(), info[1].As<Napi::String>().Utf8Value());
	AddressHandle address(rtnl_addr_alloc());
	if (!address)
		throw MakeError(info.Env(), {ENOMEM, "make address", "", "", ""});
	rtnl_addr_set_ifindex(address.get(), info[0].As<Napi::Number>().Int32Value());
	rtnl_addr_set_local(address.get(), local.get());
	return address;
}

std::string SubjectOf(const Napi::CallbackInfo &info)
{
	return info[1].ToString().Utf8Value() + " on link " + info[0].ToString().Utf8Value();
}

} // namespace

Napi::Value Netlink::Addresses(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const CacheHandle cache = Dump("list addresses", rtnl_addr_alloc_cache);
	Napi::Array addresses = Napi::Array::New(info.Env());
	for (nl_object *object = nl_cache_get_first(cache.get()); object;
	     object = nl_cache_get_next(object)) {
		auto *address = reinterpret_cast<rtnl_addr *>(object);
		if (rtnl_addr_get_ifindex(address) == ifindex)
			addresses[addresses.Length()] = Describe(info.Env(), address);
	}
	return addresses;
}

/* Nobody else on the link can have a pod's address; waiting for that would cost a second. */
void Netlink::AddAddress(const Napi::CallbackInfo &info)
{
	const AddressHandle address = Build(info);
	if (rtnl_addr_get_family(address.get()) == AF_INET6)
		rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
	if (info[2].ToBoolean().Value()) {
		rtnl_addr_set_valid_lifetime(address.get(), FOREVER);
		rtnl_addr_set_preferred_lifetime(address.get(), 0);
	}
	const int rc = rtnl_addr_add(Socket(), address.get(), NLM_F_CREATE | NLM_F_EXCL);
	if (rc < 0 && ErrorOf(rc) == EEXIST)
		return;
	Check(rc, "add address", SubjectOf(info));
}

Napi::Value Netlink::DeleteAddress(const Napi::CallbackInfo &info)
{
	const AddressHandle address = Build(info);
	const int rc = rtnl_addr_delete(Socket(), address.get(), 0);
	return Napi::Boolean::New(info.Env(), CheckFound(rc, "delete address", SubjectOf(info)));
}

} // namespace isthmus
