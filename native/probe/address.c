/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses from and to text. */
#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static bool parse_ipv6(struct sockaddr_in6 *ipv6, const char *text)
{
	char plain[INET6_ADDRSTRLEN];
	const char *zone = strchr(text, '%');
	size_t length = zone ? (size_t)(zone - text) : strlen(text);

	if (length >= sizeof(plain))
		return false;
	memcpy(plain, text, length);
	plain[length] = '\0';
	if (zone)
		ipv6->sin6_scope_id = if_nametoindex(zone + 1);
	return inet_pton(AF_INET6, plain, &ipv6->sin6_addr) == 1 && (!zone || ipv6->sin6_scope_id);
}

bool address_parse(union address *address, const char *text, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &address->ipv4.sin_addr) == 1) {
		address->ipv4.sin_family = AF_INET;
		address->ipv4.sin_port = htons(port);
		return true;
	}
	address->ipv6.sin6_family = AF_INET6;
	address->ipv6.sin6_port = htons(port);
	return parse_ipv6(&address->ipv6, text);
}

void address_map(union address *address)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};

	if (address->any.sa_family != AF_INET)
		return;
	mapped.sin6_port = address->ipv4.sin_port;
	mapped.sin6_addr.s6_addr32[2] = htonl(0xffff);
	mapped.sin6_addr.s6_addr32[3] = address->ipv4.sin_addr.s_addr;
	address->ipv6 = mapped;
}

socklen_t address_length(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->ipv4) : sizeof(address->ipv6);
}

/* True when the text is IPv6. */
static bool format_host(char host[INET6_ADDRSTRLEN], const union address *address)
{
	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->ipv4.sin_addr, host, INET6_ADDRSTRLEN);
		return false;
	}
	if (IN6_IS_ADDR_V4MAPPED(&address->ipv6.sin6_addr)) {
		inet_ntop(AF_INET, &address->ipv6.sin6_addr.s6_addr32[3], host, INET6_ADDRSTRLEN);
		return false;
	}
	inet_ntop(AF_INET6, &address->ipv6.sin6_addr, host, INET6_ADDRSTRLEN);
	return true;
}

static unsigned int address_port(const union address *address)
{
	return ntohs(address->any.sa_family == AF_INET ? address->ipv4.sin_port
						       : address->ipv6.sin6_port);
}

void address_format(char text[ADDRESS_TEXT], const union address *address)
{
	char host[INET6_ADDRSTRLEN];
	bool ipv6 = format_host(host, address);

	snprintf(text, ADDRESS_TEXT, ipv6 ? "[%s]:%u" : "%s:%u", host, address_port(address));
}

void address_format_words(char text[ADDRESS_TEXT], const union address *address)
{
	char host[INET6_ADDRSTRLEN];

	format_host(host, address);
	snprintf(text, ADDRESS_TEXT, "%s %u", host, address_port(address));
}
