/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of libnl from and to text. */
#include "netlink_handle.h"

#include <arpa/inet.h>

#include "error.h"

namespace isthmus
{
namespace
{

NlAddressHandle Parse(Napi::Env env, const std::string &text, int family)
{
	nl_addr *address = nullptr;
	const int rc = nl_addr_parse(text.c_str(), family, &address);
	if (rc < 0)
		throw MakeError(env, {EINVAL, "parse address", text, nl_geterror(rc), ""});
	return NlAddressHandle(address);
}

} // namespace

NlAddressHandle ParseAddress(Napi::Env env, const std::string &text)
{
	return Parse(env, text, text.find(':') == std::string::npos ? AF_INET : AF_INET6);
}

NlAddressHandle ParseMac(Napi::Env env, const std::string &text)
{
	return Parse(env, text, AF_LLC);
}

std::string FormatAddress(const nl_addr *address)
{
	char text[128] = "";
	if (!address || !nl_addr_get_len(address))
		return "";
	const int family = nl_addr_get_family(address);
	if (family != AF_INET && family != AF_INET6)
		return nl_addr2str(address, text, sizeof(text));
	inet_ntop(family, nl_addr_get_binary_addr(address), text, sizeof(text));
	return text;
}

std::string FormatCidr(const nl_addr *address, unsigned int prefix_length)
{
	return FormatAddress(address) + "/" + std::to_string(prefix_length);
}

} // namespace isthmus
