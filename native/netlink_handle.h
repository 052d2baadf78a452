/* SPDX-License-Identifier: Apache-2.0 */
/* Owners of libnl's objects, and addresses from and to text. */
#pragma once

#include <napi.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

#include <memory>
#include <string>

namespace isthmus
{

template <auto Release> struct Releaser {
	template <typename T> void operator()(T *object) const
	{
		Release(object);
	}
};

using SocketHandle = std::unique_ptr<nl_sock, Releaser<nl_socket_free>>;
using CacheHandle = std::unique_ptr<nl_cache, Releaser<nl_cache_free>>;
using LinkHandle = std::unique_ptr<rtnl_link, Releaser<rtnl_link_put>>;
using AddressHandle = std::unique_ptr<rtnl_addr, Releaser<rtnl_addr_put>>;
using RouteHandle = std::unique_ptr<rtnl_route, Releaser<rtnl_route_put>>;
using NeighbourHandle = std::unique_ptr<rtnl_neigh, Releaser<rtnl_neigh_put>>;
using NlAddressHandle = std::unique_ptr<nl_addr, Releaser<nl_addr_put>>;

/* An IP address or CIDR; throws EINVAL. */
[[nodiscard]] NlAddressHandle ParseAddress(Napi::Env env, const std::string &text);

/* A MAC address; throws EINVAL. */
[[nodiscard]] NlAddressHandle ParseMac(Napi::Env env, const std::string &text);

/* Without prefix length; empty for null. */
[[nodiscard]] std::string FormatAddress(const nl_addr *address);

/* With prefix length, also when it is the full one. */
[[nodiscard]] std::string FormatCidr(const nl_addr *address, unsigned int prefix_length);

} // namespace isthmus
