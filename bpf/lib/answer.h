/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors, which the node sends itself. The refused packet becomes
 * its answer and leaves by the device it came from; the drop is counted before that.
 */
#ifndef ISTHMUS_ANSWER_H
#define ISTHMUS_ANSWER_H

#include "events.h"
#include "rewrite.h"

enum icmp_code {
	ICMP4_NET_UNREACHABLE = 0,
	ICMP4_HOST_UNREACHABLE = 1,
	ICMP4_PORT_UNREACHABLE = 3,
	ICMP4_FRAGMENTATION_NEEDED = 4,
	ICMP4_ADMINISTRATIVELY_PROHIBITED = 13,
	ICMP6_NO_ROUTE = 0,
	ICMP6_ADMINISTRATIVELY_PROHIBITED = 1,
	ICMP6_ADDRESS_UNREACHABLE = 3,
	ICMP6_PORT_UNREACHABLE = 4,
};

enum answer_header {
	ANSWER_TTL = 64,
	ICMP_BYTES = 8,
};

/* One answer of both families: RFC 792 and RFC 4443 number them differently. */
struct answer {
	__u8 type[FAMILY_COUNT];
	__u8 code[FAMILY_COUNT];
	__u32 mtu; /* bytes, or 0 */
	bool from_destination; /* the refused address answers, not the node */
};

struct ipv4_pseudo {
	__be32 source;
	__be32 destination;
	__u8 zero;
	__u8 protocol;
	__be16 length;
};

struct ipv6_pseudo {
	ip_addr source;
	ip_addr destination;
	__be32 length;
	__be32 next;
};

static __always_inline struct scratch *scratch_of(__u32 user)
{
	return bpf_map_lookup_elem(&scratches, &user);
}

/* The packet's. */
static __always_inline struct scratch *scratch_get(void)
{
	return scratch_of(SCRATCH_PACKET);
}

/* RFC 1122 section 3.2.2 and RFC 4443 section 2.4(e): never about an error, a later fragment,
 * or a packet without a sender to answer to. */
static __always_inline bool answer_is_allowed(const struct packet *pkt)
{
	const __u8 *from = pkt->key.source.bytes;

	if (pkt->flags & (PACKET_ICMP_ERROR | PACKET_LATER_FRAGMENT))
		return false;
	if (pkt->family == FAMILY_IPV4)
		return from[12] != 0 && from[12] != 127 && from[12] < 224;
	return from[0] != 0xff && pkt->key.source.halves[1];
}

static __always_inline int answer_swap_ethernet(struct packet *pkt)
{
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);
	mac_addr mac;

	if (!ethernet)
		return -1;
	__builtin_memcpy(&mac, ethernet->h_source, sizeof(mac));
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, sizeof(mac));
	__builtin_memcpy(ethernet->h_dest, &mac, sizeof(mac));
	return 0;
}

/* In forward.h. */
__noinline bool answer_leave(struct __sk_buff *skb, const ip_addr *to, __u32 by_route);

static __always_inline int answer_redirect(struct packet *pkt)
{
	if (answer_swap_ethernet(pkt))
		return VERDICT_DROPPED;
	/* Constants: the verifier would go on with an outcome that it does not know. */
	return answer_leave(pkt->skb, &pkt->key.source, pkt->unwrapped) ? VERDICT_REDIRECTED
									: VERDICT_DROPPED;
}

static __always_inline __sum16 ipv4_header_checksum(struct iphdr *ip)
{
	ip->check = 0;
	return ~checksum_fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline int answer_store_ipv4(struct packet *pkt, const ip_addr *from,
					     struct scratch *s, __u32 quoted)
{
	struct iphdr *ip = (struct iphdr *)s->header;
	__sum16 checksum;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(IPV4_BYTES + ICMP_BYTES + quoted);
	ip->ttl = ANSWER_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = from->words[3];
	ip->daddr = pkt->key.source.words[3];
	ip->check = ipv4_header_checksum(ip);
	checksum = ~checksum_fold(
		bpf_csum_diff(0, 0, (__be32 *)s->icmp, ICMP_BYTES + ANSWER_QUOTE_BYTES, 0));
	__builtin_memcpy(s->icmp + 2, &checksum, sizeof(checksum));
	if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
		return -1;
	return bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES + IPV4_BYTES, s->icmp, ICMP_BYTES, 0);
}

/* The sum of the pseudo header of an IPv6 packet whose payload has `length` bytes (RFC 8200). */
static __always_inline __s64 ipv6_pseudo_sum(struct scratch *s, const struct ipv6hdr *ip,
					     __u32 length)
{
	struct ipv6_pseudo *pseudo = (struct ipv6_pseudo *)s->pseudo;

	__builtin_memcpy(&pseudo->source, &ip->saddr, sizeof(ip_addr));
	__builtin_memcpy(&pseudo->destination, &ip->daddr, sizeof(ip_addr));
	pseudo->length = bpf_htonl(length);
	pseudo->next = bpf_htonl(ip->nexthdr);
	return bpf_csum_diff(0, 0, (__be32 *)pseudo, sizeof(*pseudo), 0);
}

static __always_inline int answer_store_ipv6(struct packet *pkt, const ip_addr *from,
					     struct scratch *s, __u32 quoted)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)s->header;
	__sum16 checksum;
	__s64 sum;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(ICMP_BYTES + quoted);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, from, sizeof(ip_addr));
	__builtin_memcpy(&ip->daddr, &pkt->key.source, sizeof(ip_addr));
	sum = ipv6_pseudo_sum(s, ip, ICMP_BYTES + quoted);
	sum = bpf_csum_diff(0, 0, (__be32 *)s->icmp, ICMP_BYTES + ANSWER_QUOTE_BYTES, sum);
	checksum = ~checksum_fold(sum);
	__builtin_memcpy(s->icmp + 2, &checksum, sizeof(checksum));
	if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
		return -1;
	return bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES + IPV6_BYTES, s->icmp, ICMP_BYTES, 0);
}

/* Copies what the error quotes. The rest of the buffer is zero, which no sum notices. */
static __always_inline __u32 answer_quote(struct packet *pkt, struct scratch *s)
{
	__u32 bytes = pkt->length;

	__builtin_memset(s->icmp, 0, sizeof(s->icmp));
	if (bytes > ANSWER_QUOTE_BYTES)
		bytes = ANSWER_QUOTE_BYTES;
	if (bytes < IPV4_BYTES || bytes > ANSWER_QUOTE_BYTES)
		return 0;
	if (bpf_skb_load_bytes(pkt->skb, ETHERNET_BYTES, s->icmp + ICMP_BYTES, bytes))
		return 0;
	return bytes;
}

/* Counts the drop and turns the packet into an ICMP error to its sender. */
static __noinline int answer_icmp(struct packet *pkt, __u32 reason, const struct answer *answer)
{
	struct drop_key key = {.reason = reason, .direction = pkt->direction | 0x100};
	__u8 family = pkt->family & 1;
	struct scratch *s = scratch_get();
	bool ipv4 = family == FAMILY_IPV4;
	__u32 header = ipv4 ? IPV4_BYTES : IPV6_BYTES;
	__u32 quoted, mtu;
	ip_addr from;

	drop_record(pkt, reason);
	if (!s || !answer_is_allowed(pkt) || !sample_take(&key, ANSWERS_PER_SECOND))
		return VERDICT_DROPPED;
	quoted = answer_quote(pkt, s);
	if (!quoted)
		return VERDICT_DROPPED;
	from = pkt->key.destination;
	if (!answer->from_destination)
		config_copy(&from, &config.node_address[family], sizeof(from));
	if (address_is_unspecified(&from))
		return VERDICT_DROPPED; /* nobody to answer as */
	s->icmp[0] = ipv4 ? answer->type[FAMILY_IPV4] : answer->type[FAMILY_IPV6];
	s->icmp[1] = ipv4 ? answer->code[FAMILY_IPV4] : answer->code[FAMILY_IPV6];
	/* Both families keep the MTU in the last bytes of the second word (RFC 1191, RFC 4443). */
	mtu = bpf_htonl(answer->mtu);
	__builtin_memcpy(s->icmp + 4, &mtu, sizeof(mtu));
	if (bpf_skb_change_tail(pkt->skb, ETHERNET_BYTES + quoted, 0) ||
	    bpf_skb_adjust_room(pkt->skb, header + ICMP_BYTES, BPF_ADJ_ROOM_MAC, 0))
		return VERDICT_DROPPED;
	if (ipv4 ? answer_store_ipv4(pkt, &from, s, quoted)
		 : answer_store_ipv6(pkt, &from, s, quoted))
		return VERDICT_DROPPED;
	return answer_redirect(pkt);
}

static __always_inline int answer_unreachable(struct packet *pkt, __u32 reason)
{
	struct answer answer = {
		.type = {ICMP4_UNREACHABLE, ICMP6_UNREACHABLE},
		.code = {ICMP4_HOST_UNREACHABLE, ICMP6_ADDRESS_UNREACHABLE},
	};

	return answer_icmp(pkt, reason, &answer);
}

static __always_inline int answer_no_route(struct packet *pkt, __u32 reason)
{
	struct answer answer = {
		.type = {ICMP4_UNREACHABLE, ICMP6_UNREACHABLE},
		.code = {ICMP4_NET_UNREACHABLE, ICMP6_NO_ROUTE},
	};

	return answer_icmp(pkt, reason, &answer);
}

/* RFC 5508 REQ-8 and RFC 4443 section 3.1: what a translator says that has no port left. */
static __always_inline int answer_prohibited(struct packet *pkt, __u32 reason)
{
	struct answer answer = {
		.type = {ICMP4_UNREACHABLE, ICMP6_UNREACHABLE},
		.code = {ICMP4_ADMINISTRATIVELY_PROHIBITED, ICMP6_ADMINISTRATIVELY_PROHIBITED},
	};

	return answer_icmp(pkt, reason, &answer);
}

static __always_inline int answer_time_exceeded(struct packet *pkt)
{
	struct answer answer = {.type = {ICMP4_TIME_EXCEEDED, ICMP6_TIME_EXCEEDED}};

	return answer_icmp(pkt, DROP_TTL_EXCEEDED, &answer);
}

static __always_inline int answer_too_big(struct packet *pkt, __u32 mtu)
{
	struct answer answer = {
		.type = {ICMP4_UNREACHABLE, ICMP6_PACKET_TOO_BIG},
		.code = {ICMP4_FRAGMENTATION_NEEDED, 0},
		.mtu = mtu,
	};

	return answer_icmp(pkt, DROP_TOO_BIG, &answer);
}

static __always_inline int answer_port_unreachable(struct packet *pkt, __u32 reason)
{
	struct answer answer = {
		.type = {ICMP4_UNREACHABLE, ICMP6_UNREACHABLE},
		.code = {ICMP4_PORT_UNREACHABLE, ICMP6_PORT_UNREACHABLE},
		.from_destination = true,
	};

	return answer_icmp(pkt, reason, &answer);
}

#endif
