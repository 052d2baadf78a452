/* SPDX-License-Identifier: Apache-2.0 */
/* IP fragments made by hand, sent by a raw socket. */
#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define HOPS	   64
#define ICMP4_ECHO 8
#define ICMP6_ECHO 128

static uint64_t sum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint64_t)at[i] << 8 | at[i + 1];
	return length & 1 ? sum + ((uint64_t)at[length - 1] << 8) : sum;
}

static uint16_t sum_finish(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static bool is_ipv4(const struct raw *raw)
{
	return raw->source.any.sa_family == AF_INET;
}

/* A datagram socket for both families names IPv4 addresses like this. */
static void unmap(union address *address)
{
	struct sockaddr_in plain = {.sin_family = AF_INET, .sin_port = address->ipv6.sin6_port};

	if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->ipv6.sin6_addr))
		return;
	memcpy(&plain.sin_addr, address->ipv6.sin6_addr.s6_addr + 12, 4);
	address->ipv4 = plain;
}

static uint64_t sum_pseudo(const struct raw *raw, size_t length)
{
	uint64_t sum = length + raw->protocol;

	if (is_ipv4(raw)) {
		sum = sum_add(sum, &raw->source.ipv4.sin_addr, 4);
		return sum_add(sum, &raw->destination.ipv4.sin_addr, 4);
	}
	sum = sum_add(sum, &raw->source.ipv6.sin6_addr, 16);
	return sum_add(sum, &raw->destination.ipv6.sin6_addr, 16);
}

int raw_open(struct raw *raw)
{
	int buffer = 4 << 20;

	unmap(&raw->source);
	unmap(&raw->destination);
	raw->fd = socket(raw->source.any.sa_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (raw->fd < 0)
		return -errno;
	setsockopt(raw->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	return 0;
}

void raw_udp(const struct raw *raw, struct segment *segment)
{
	uint16_t header[4] = {
		raw->source.ipv4.sin_port, /* at the same place in both families */
		raw->destination.ipv4.sin_port,
		htons((uint16_t)segment->length),
		0,
	};

	memcpy(segment->bytes, header, sizeof(header));
	header[3] = sum_finish(
		sum_add(sum_pseudo(raw, segment->length), segment->bytes, segment->length));
	if (!header[3])
		header[3] = 0xffff;
	memcpy(segment->bytes, header, sizeof(header));
}

void raw_echo(const struct raw *raw, struct segment *segment, uint16_t number)
{
	uint8_t *bytes = segment->bytes;
	uint64_t pseudo = is_ipv4(raw) ? 0 : sum_pseudo(raw, segment->length);
	uint16_t checksum;

	memset(bytes, 0, 8);
	bytes[0] = is_ipv4(raw) ? ICMP4_ECHO : ICMP6_ECHO;
	memcpy(bytes + 4, &raw->source.ipv4.sin_port, 2);
	number = htons(number);
	memcpy(bytes + 6, &number, 2);
	checksum = sum_finish(sum_add(pseudo, bytes, segment->length));
	memcpy(bytes + 2, &checksum, 2);
}

static size_t header_ipv4(const struct raw *raw, const struct segment *segment,
			  const struct piece *piece, uint8_t *header)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + piece->length)),
		/* not 0, which the kernel would replace, each fragment by another */
		.id = htons((uint16_t)(1 + segment->identification % UINT16_MAX)),
		.frag_off = htons((uint16_t)(piece->offset / 8 | (piece->more ? IP_MF : 0))),
		.ttl = HOPS,
		.protocol = raw->protocol,
		.saddr = raw->source.ipv4.sin_addr.s_addr,
		.daddr = raw->destination.ipv4.sin_addr.s_addr,
	};

	memcpy(header, &ip, sizeof(ip)); /* the kernel fills in the checksum */
	return sizeof(ip);
}

static size_t header_ipv6(const struct raw *raw, const struct segment *segment,
			  const struct piece *piece, uint8_t *header)
{
	struct ip6_frag fragment = {
		.ip6f_nxt = raw->protocol,
		.ip6f_offlg = htons((uint16_t)(piece->offset | (piece->more ? 1 : 0))),
		.ip6f_ident = htonl(segment->identification),
	};
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons((uint16_t)(sizeof(fragment) + piece->length)),
		.ip6_nxt = IPPROTO_FRAGMENT,
		.ip6_hlim = HOPS,
		.ip6_src = raw->source.ipv6.sin6_addr,
		.ip6_dst = raw->destination.ipv6.sin6_addr,
	};

	memcpy(header, &ip, sizeof(ip));
	memcpy(header + sizeof(ip), &fragment, sizeof(fragment));
	return sizeof(ip) + sizeof(fragment);
}

int raw_send(const struct raw *raw, const struct segment *segment, const struct piece *piece)
{
	uint8_t header[sizeof(struct ip6_hdr) + sizeof(struct ip6_frag)];
	union address to = raw->destination;
	struct iovec parts[2] = {
		{header, is_ipv4(raw) ? header_ipv4(raw, segment, piece, header)
				      : header_ipv6(raw, segment, piece, header)},
		{(void *)(uintptr_t)(segment->bytes + piece->offset), piece->length},
	};
	struct msghdr message = {
		.msg_name = &to,
		.msg_namelen = address_length(&to),
		.msg_iov = parts,
		.msg_iovlen = 2,
	};

	to.ipv4.sin_port = 0; /* a raw IPv6 socket takes it for the protocol */
	return sendmsg(raw->fd, &message, 0) < 0 ? -errno : 0;
}
