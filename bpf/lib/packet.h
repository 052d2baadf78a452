/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parsed view of a packet: only here are received headers checked against its end. */
#ifndef ISTHMUS_PACKET_H
#define ISTHMUS_PACKET_H

#include "config.h"
#include "sctp.h"
#include "verdict.h"

enum protocol_limits {
	ETHERNET_BYTES = 14,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	PORTS_BYTES = 8, /* of a transport header: ports, ICMP identifier, UDP checksum */
	TCP_BYTES = 20,
	IPV6_EXTENSIONS_MAX = 4,
	PACKET_OFFSET_MAX = 255, /* of the transport header; a mask for the verifier */
	IPV4_DONT_FRAGMENT = 0x4000,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_FRAGMENT_OFFSET = 0x1fff,
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_ARP = 0x0806,
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP6_UNREACHABLE = 1,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_NEIGHBOUR_FIRST = 133, /* router solicitation .. redirect */
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP6_NEIGHBOUR_LAST = 137,
};

enum packet_flags {
	PACKET_FIRST_FRAGMENT = 1,
	PACKET_LATER_FRAGMENT = 2, /* carries no ports */
	PACKET_ICMP_ERROR = 4,
	PACKET_ICMP_ECHO = 8,
	PACKET_ICMP_OTHER = 16,
	PACKET_DONT_FRAGMENT = 32,
	PACKET_MORE_FRAGMENTS = 64, /* not the last one */
	PACKET_ORDERED = 128, /* back from the detour of fragments */
};

struct packet {
	struct __sk_buff *skb;
	struct endpoint *source; /* of this node, once its address was checked */
	struct flow_key key;
	__be32 identification; /* of a fragment */
	__u16 fragment_offset; /* bytes */
	__u16 fragment_bytes; /* of payload */
	__u32 length; /* of the IP packet, bytes */
	__u16 transport; /* offset of the transport header from the Ethernet header */
	__u8 family; /* enum family */
	__u8 direction; /* enum direction */
	__u8 flags; /* enum packet_flags */
	__u8 tcp_flags; /* enum tcp_flags; of SCTP: what its chunks say */
	__u8 icmp_type;
	__u8 ttl;
	__u8 transport_bytes; /* length of a TCP, UDP or SCTP header */
	__u8 unwrapped; /* 1: came inside another packet: answers go by the routing table */
	__u16 cut; /* enum cut_size, when it must be cut before it leaves */
};

/*
 * Loads a packet pointer. In assembly, because clang moves the 32-bit field on as a 32-bit
 * value, and the verifier then no longer knows it as a pointer (clang 14 to 19, -mcpu=v3).
 */
#define PACKET_POINTER(context, field)                                                             \
	({                                                                                         \
		void *pointer;                                                                     \
		asm volatile(                                                                      \
			"%[to] = *(u32 *)(%[from] + %[offset])"                                    \
			: [to] "=r"(pointer)                                                       \
			: [from] "r"(context), [offset] "i"(offsetof(typeof(*(context)), field))   \
			: "memory");                                                               \
		pointer;                                                                           \
	})

/* A pointer to `bytes` of the packet at `offset`, or NULL when the linear part ends before. */
static __always_inline void *packet_at(const struct packet *pkt, __u32 offset, __u32 bytes)
{
	void *data = PACKET_POINTER(pkt->skb, data);
	void *end = PACKET_POINTER(pkt->skb, data_end);

	offset &= PACKET_OFFSET_MAX;
	if (data + offset + bytes > end)
		return NULL;
	return data + offset;
}

/* The same, after making the bytes linear if they are not. Invalidates earlier pointers. */
static __always_inline void *packet_pull(const struct packet *pkt, __u32 offset, __u32 bytes)
{
	void *at = packet_at(pkt, offset, bytes);

	if (at)
		return at;
	if (bpf_skb_pull_data(pkt->skb, (offset & PACKET_OFFSET_MAX) + bytes))
		return NULL;
	return packet_at(pkt, offset, bytes);
}

static __always_inline bool packet_is_icmp(const struct packet *pkt)
{
	return pkt->key.protocol == IPPROTO_ICMP || pkt->key.protocol == IPPROTO_ICMPV6;
}

/* Echo identifiers play the part of ports; see struct flow_key. */
static __always_inline int packet_parse_icmp(struct packet *pkt, const __u8 *icmp)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u8 type = icmp[0];

	pkt->icmp_type = type;
	if (type == (ipv4 ? ICMP4_ECHO : ICMP6_ECHO)) {
		pkt->flags |= PACKET_ICMP_ECHO;
		pkt->key.source_port = *(__be16 *)(icmp + 4);
	} else if (type == (ipv4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY)) {
		pkt->flags |= PACKET_ICMP_ECHO;
		pkt->key.destination_port = *(__be16 *)(icmp + 4);
	} else if (ipv4 ? type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
				   type == ICMP4_PARAMETER_PROBLEM
			: type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM) {
		pkt->flags |= PACKET_ICMP_ERROR;
	} else {
		pkt->flags |= PACKET_ICMP_OTHER;
	}
	return 0;
}

/* Whether bytes at an offset are of the IP packet: a frame may be longer. */
static __always_inline bool packet_holds(const struct packet *pkt, __u32 offset, __u32 bytes)
{
	return offset + bytes <= pkt->length + ETHERNET_BYTES;
}

/* The first bytes of the transport header; NULL when the packet ends before. */
static __always_inline __u8 *packet_pull_transport(const struct packet *pkt, __u32 bytes)
{
	if (!packet_holds(pkt, pkt->transport, bytes))
		return NULL;
	return packet_pull(pkt, pkt->transport, bytes);
}

/* Whether it opens a connection. */
static __always_inline bool packet_opens(const struct packet *pkt)
{
	return (pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* What an INIT or its answer announces: the tag that packets to its sender will have. */
static __always_inline bool packet_initiate_tag(const struct packet *pkt, __be32 *tag)
{
	__u32 at = (pkt->transport & PACKET_OFFSET_MAX) + SCTP_BYTES + SCTP_CHUNK_BYTES;

	return packet_holds(pkt, at, sizeof(*tag)) &&
	       !bpf_skb_load_bytes(pkt->skb, at, tag, sizeof(*tag));
}

static __always_inline int packet_take_tcp(struct packet *pkt, const __u8 *header)
{
	if (header[12] < 0x50)
		return -DROP_MALFORMED;
	pkt->tcp_flags = header[13];
	pkt->transport_bytes = (header[12] >> 4) * 4;
	return packet_holds(pkt, pkt->transport, pkt->transport_bytes) ? 0 : -DROP_TRUNCATED;
}

static __always_inline void packet_take_ports(struct packet *pkt, const __u8 *header)
{
	pkt->key.source_port = *(__be16 *)header;
	pkt->key.destination_port = *(__be16 *)(header + 2);
}

static __always_inline int packet_parse_sctp(struct packet *pkt)
{
	__u8 *header = packet_pull_transport(pkt, SCTP_BYTES);

	if (!header)
		return -DROP_TRUNCATED;
	packet_take_ports(pkt, header);
	pkt->transport_bytes = SCTP_BYTES;
	pkt->tcp_flags =
		sctp_says(pkt->skb, pkt->transport + SCTP_BYTES, pkt->length + ETHERNET_BYTES);
	return 0;
}

static __always_inline int packet_parse_transport(struct packet *pkt)
{
	__u8 *header;
	int rc;

	if (pkt->flags & PACKET_LATER_FRAGMENT)
		return 0;
	switch (pkt->key.protocol) {
	case IPPROTO_TCP:
		header = packet_pull_transport(pkt, TCP_BYTES);
		if (!header)
			return -DROP_TRUNCATED;
		rc = packet_take_tcp(pkt, header);
		if (rc)
			return rc;
		break;
	case IPPROTO_UDP:
		header = packet_pull_transport(pkt, PORTS_BYTES);
		if (!header)
			return -DROP_TRUNCATED;
		pkt->transport_bytes = PORTS_BYTES;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((pkt->key.protocol == IPPROTO_ICMP) != (pkt->family == FAMILY_IPV4))
			return -DROP_MALFORMED;
		header = packet_pull_transport(pkt, PORTS_BYTES);
		if (!header)
			return -DROP_TRUNCATED;
		return packet_parse_icmp(pkt, header);
	case IPPROTO_SCTP:
		return packet_parse_sctp(pkt);
	default:
		return 0;
	}
	packet_take_ports(pkt, header);
	return 0;
}

static __always_inline bool ipv4_checksum_is_wrong(const struct iphdr *ip)
{
	const __u32 *words = (const __u32 *)ip;
	__u64 sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum != 0xffff;
}

/* What an IPv4 header says; `received` is how many bytes there are from it on. */
static __always_inline int packet_take_ipv4(struct packet *pkt, const struct iphdr *ip,
					    __u32 received)
{
	__u16 fragment;

	if (ip->version != 4 || ip->ihl < 5)
		return -DROP_MALFORMED;
	/* A sum over options is left to their receiver: only senders of tests set them. */
	if (ip->ihl == 5 && ipv4_checksum_is_wrong(ip))
		return -DROP_MALFORMED;
	/* BIG TCP: a length of 0 means "as long as the buffer" (6.3). */
	pkt->length = bpf_ntohs(ip->tot_len) ?: received;
	if (pkt->length > received)
		return -DROP_TRUNCATED;
	if (pkt->length < ip->ihl * 4U)
		return -DROP_MALFORMED;
	pkt->family = FAMILY_IPV4;
	pkt->transport = ETHERNET_BYTES + ip->ihl * 4;
	pkt->ttl = ip->ttl;
	pkt->key.protocol = ip->protocol;
	pkt->key.source.words[2] = bpf_htonl(0xffff);
	pkt->key.source.words[3] = ip->saddr;
	pkt->key.destination.words[2] = bpf_htonl(0xffff);
	pkt->key.destination.words[3] = ip->daddr;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & IPV4_DONT_FRAGMENT)
		pkt->flags |= PACKET_DONT_FRAGMENT;
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) {
		pkt->identification = (__be32)ip->id;
		pkt->flags |= fragment & IPV4_FRAGMENT_OFFSET ? PACKET_LATER_FRAGMENT
							      : PACKET_FIRST_FRAGMENT;
		if (fragment & IPV4_MORE_FRAGMENTS)
			pkt->flags |= PACKET_MORE_FRAGMENTS;
		pkt->fragment_offset = (fragment & IPV4_FRAGMENT_OFFSET) * 8;
		pkt->fragment_bytes = pkt->length - ip->ihl * 4;
	}
	return 0;
}

static __always_inline int packet_parse_ipv4(struct packet *pkt)
{
	struct iphdr *ip = packet_pull(pkt, ETHERNET_BYTES, IPV4_BYTES);
	int rc;

	if (!ip)
		return -DROP_TRUNCATED;
	rc = packet_take_ipv4(pkt, ip, pkt->skb->len - ETHERNET_BYTES);
	return rc ?: packet_parse_transport(pkt);
}

struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment; /* of a fragment header: offset and flag */
	__be32 identification;
};

/* Walks the extension headers; rare, so not inlined. Leaves protocol and transport in pkt. */
static __noinline int packet_parse_extensions(struct packet *pkt, __u8 next)
{
	__u32 offset = ETHERNET_BYTES + IPV6_BYTES;

	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		struct ipv6_extension header;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if (!packet_holds(pkt, offset, sizeof(header)) ||
		    bpf_skb_load_bytes(pkt->skb, offset, &header, sizeof(header)))
			return -DROP_TRUNCATED;
		if (next == IPPROTO_FRAGMENT) {
			__u16 fragment = bpf_ntohs(header.fragment);

			if (pkt->flags & PACKET_FIRST_FRAGMENT)
				return -DROP_MALFORMED; /* one a packet (RFC 8200 section 4.1) */
			pkt->identification = header.identification;
			if (fragment & 0xfff8)
				pkt->flags |= PACKET_LATER_FRAGMENT;
			else if (fragment & 1)
				pkt->flags |= PACKET_FIRST_FRAGMENT;
			if (fragment & 1)
				pkt->flags |= PACKET_MORE_FRAGMENTS;
			offset += sizeof(header);
			pkt->fragment_offset = fragment & 0xfff8;
			pkt->fragment_bytes = pkt->length + ETHERNET_BYTES - offset;
		} else {
			offset += (header.length + 1) * 8;
		}
		next = header.next;
		if (offset > PACKET_OFFSET_MAX)
			return -DROP_IP_OPTIONS;
		if (pkt->flags & PACKET_LATER_FRAGMENT)
			break;
	}
	if (!packet_holds(pkt, offset, 0))
		return -DROP_TRUNCATED;
	pkt->key.protocol = next;
	pkt->transport = offset;
	return 0;
}

/* An IPv4 address in an IPv6 header: the keys of maps could not tell it from IPv4. */
static __always_inline bool ipv6_is_mapped(const ip_addr *address)
{
	return !address->halves[0] && address->words[2] == bpf_htonl(0xffff);
}

/* As above. The protocol may still be that of an extension header. */
static __always_inline int packet_take_ipv6(struct packet *pkt, const struct ipv6hdr *ip,
					    __u32 received)
{
	if (ip->version != 6)
		return -DROP_MALFORMED;
	/* A payload length of 0 is a jumbogram, as BIG TCP makes them (5.19). */
	pkt->length = ip->payload_len ? bpf_ntohs(ip->payload_len) + IPV6_BYTES : received;
	if (pkt->length > received)
		return -DROP_TRUNCATED;
	pkt->family = FAMILY_IPV6;
	pkt->flags |= PACKET_DONT_FRAGMENT;
	pkt->transport = ETHERNET_BYTES + IPV6_BYTES;
	pkt->ttl = ip->hop_limit;
	pkt->key.protocol = ip->nexthdr;
	__builtin_memcpy(&pkt->key.source, &ip->saddr, sizeof(ip_addr));
	__builtin_memcpy(&pkt->key.destination, &ip->daddr, sizeof(ip_addr));
	if (ipv6_is_mapped(&pkt->key.source) || ipv6_is_mapped(&pkt->key.destination))
		return -DROP_MALFORMED;
	return 0;
}

static __always_inline int packet_parse_ipv6(struct packet *pkt)
{
	struct ipv6hdr *ip = packet_pull(pkt, ETHERNET_BYTES, IPV6_BYTES);
	__u8 next;
	int rc;

	if (!ip)
		return -DROP_TRUNCATED;
	rc = packet_take_ipv6(pkt, ip, pkt->skb->len - ETHERNET_BYTES);
	if (rc)
		return rc;
	next = pkt->key.protocol;
	if (next != IPPROTO_TCP && next != IPPROTO_UDP && next != IPPROTO_ICMPV6) {
		rc = packet_parse_extensions(pkt, next);
		if (rc)
			return rc;
	}
	return packet_parse_transport(pkt);
}

/* Fills pkt from its skb. An IPv4 packet with ICMPv6 inside, or the reverse, is nobody's. */
static __always_inline int packet_parse(struct packet *pkt)
{
	switch (bpf_ntohs(pkt->skb->protocol)) {
	case ETHERTYPE_IPV4:
		return packet_parse_ipv4(pkt);
	case ETHERTYPE_IPV6:
		return packet_parse_ipv6(pkt);
	default:
		return -DROP_UNSUPPORTED_ETHERTYPE;
	}
}

/* fe80::/10 (RFC 4291). An IPv4 address is written in another range. */
static __always_inline bool address_is_link_local(const ip_addr *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

/* What no router forwards: multicast, broadcast, loopback and link-local (RFC 1122, 4291). */
static __always_inline bool packet_is_not_routable(const struct packet *pkt)
{
	const __u8 *to = pkt->key.destination.bytes;

	if (pkt->family == FAMILY_IPV4)
		return to[12] >= 224 || to[12] == 127 || to[12] == 0 ||
		       (to[12] == 169 && to[13] == 254);
	return to[0] == 0xff || address_is_link_local(&pkt->key.destination) ||
	       (!pkt->key.destination.halves[0] && !pkt->key.destination.words[2]);
}

#endif
