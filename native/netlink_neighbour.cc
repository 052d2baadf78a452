/* SPDX-License-Identifier: Apache-2.0 */
/* Permanent neighbours: replace, delete. */
#include "netlink.h"

#include <linux/neighbour.h>

#include <cerrno>

#include "error.h"

namespace isthmus
{
namespace
{

NeighbourHandle Build(const Napi::Object &options)
{
	const NlAddressHandle address =
		ParseAddress(options.Env(), options.Get("address").As<Napi::String>().Utf8Value());
	NeighbourHandle neighbour(rtnl_neigh_alloc());
	if (!neighbour)
		throw MakeError(options.Env(), {ENOMEM, "make neighbour", "", "", ""});
	rtnl_neigh_set_ifindex(neighbour.get(),
			       options.Get("ifindex").As<Napi::Number>().Int32Value());
	rtnl_neigh_set_dst(neighbour.get(), address.get());
	return neighbour;
}

std::string SubjectOf(const Napi::Object &options)
{
	return options.Get("address").ToString().Utf8Value() + " on link " +
	       options.Get("ifindex").ToString().Utf8Value();
}

} // namespace

void Netlink::ReplaceNeighbour(const Napi::CallbackInfo &info)
{
	const auto options = info[0].As<Napi::Object>();
	const NeighbourHandle neighbour = Build(options);
	const NlAddressHandle mac =
		ParseMac(info.Env(), options.Get("mac").As<Napi::String>().Utf8Value());
	rtnl_neigh_set_lladdr(neighbour.get(), mac.get());
	rtnl_neigh_set_state(neighbour.get(), NUD_PERMANENT);
	Check(rtnl_neigh_add(Socket(), neighbour.get(), NLM_F_CREATE | NLM_F_REPLACE),
	      "replace neighbour", SubjectOf(options));
}

Napi::Value Netlink::DeleteNeighbour(const Napi::CallbackInfo &info)
{
	const auto options = info[0].As<Napi::Object>();
	const NeighbourHandle neighbour = Build(options);
	const int rc = rtnl_neigh_delete(Socket(), neighbour.get(), 0);
	return Napi::Boolean::New(info.Env(),
				  CheckFound(rc, "delete neighbour", SubjectOf(options)));
}

} // namespace isthmus
