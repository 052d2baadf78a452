/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet in a packet of the same family, between two nodes (RFC 2003, RFC 2473): from the node's
 * own address to that of a pod. The inner one stays as it is, and so does the size of its segments:
 * who sends it has checked that it leaves room for the outer header.
 */
#ifndef ISTHMUS_TUNNEL_H
#define ISTHMUS_TUNNEL_H

#include "forward.h"

enum tunnel {
	TUNNEL_TTL = 64,
	TUNNEL_ECN_MASK = 3,
	TUNNEL_ECN_CE = 3,
	IPV4_LENGTH_MAX = 65535,
	IPV6_FLOW_LABEL = 0xfffff,
};

/*
 * A flag of which the verifier does not know whether it is set: no packet is so long. So it walks
 * what follows once, and not once for each value.
 */
static __always_inline __u8 packet_hide(const struct packet *pkt, __u8 flag)
{
	return (pkt->skb->len >> 31) ^ flag;
}

/* Of a header, host order: what stands in front of an inner packet, and the protocol that says so.
 */
static __always_inline __u32 tunnel_bytes(__u8 family)
{
	return family == FAMILY_IPV4 ? IPV4_BYTES : IPV6_BYTES;
}

static __always_inline __u8 tunnel_protocol(__u8 family)
{
	return family == FAMILY_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

static __always_inline bool packet_is_tunnel(const struct packet *pkt)
{
	return pkt->key.protocol == tunnel_protocol(pkt->family);
}

/* The outer header of an IPv4 packet. Its class of service is the inner one's (RFC 6040). */
static __always_inline void tunnel_header_ipv4(struct iphdr *ip, __u8 class, __u32 bytes,
					       const ip_addr *to)
{
	bytes += IPV4_BYTES;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = class;
	/* BIG TCP: a length of 0 means "as long as the buffer". */
	ip->tot_len = bytes > IPV4_LENGTH_MAX ? 0 : bpf_htons(bytes);
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = TUNNEL_TTL;
	ip->protocol = IPPROTO_IPIP;
	ip->saddr = config.node_address[FAMILY_IPV4].words[3];
	ip->daddr = to->words[3];
	ip->check = ipv4_header_checksum(ip);
}

/* The same of IPv6. The flow label lets routers spread the flows (RFC 6438). */
static __always_inline void tunnel_header_ipv6(struct ipv6hdr *ip, __u8 class, __u32 bytes,
					       __u32 label, const ip_addr *to)
{
	__be32 first = bpf_htonl(6U << 28 | (__u32) class << 20 | (label & IPV6_FLOW_LABEL));

	__builtin_memcpy(ip, &first, sizeof(first));
	/* A jumbogram's, as BIG TCP makes them, is 0. */
	ip->payload_len = bytes > IPV4_LENGTH_MAX ? 0 : bpf_htons(bytes);
	ip->nexthdr = IPPROTO_IPV6;
	ip->hop_limit = TUNNEL_TTL;
	config_copy(&ip->saddr, &config.node_address[FAMILY_IPV6], sizeof(ip_addr));
	__builtin_memcpy(&ip->daddr, to, sizeof(ip_addr));
}

/* The class of service, of a header's first two bytes. */
static __always_inline __u8 tunnel_class(__u8 family, const __u8 *start)
{
	return family == FAMILY_IPV4 ? start[1] : (__u8)(start[0] << 4 | start[1] >> 4);
}

/* Whether a device still has to cut it to segments, or to finish its checksum: it must be told that
 * the packet is inside another one. */
static __always_inline bool tunnel_is_unfinished(struct __sk_buff *skb)
{
	struct sk_buff *kernel;

	if (skb->gso_size || !config.fast_checksum)
		return true;
	kernel = bpf_cast_to_kern_ctx(skb);
	return BPF_CORE_READ_BITFIELD(kernel, ip_summed) == CHECKSUM_PARTIAL;
}

/* Puts a packet of `bytes` into one to a pod of another node. Not static, so that the verifier
 * walks it once and not for every way that leads here. */
__noinline int tunnel_wrap(struct __sk_buff *skb, const ip_addr *to, __u32 bytes)
{
	__u8 family = skb->protocol == bpf_htons(ETHERTYPE_IPV4) ? FAMILY_IPV4 : FAMILY_IPV6;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	struct scratch *s = scratch_get();
	__u8 class;

	if (!s || !to || bpf_skb_load_bytes(skb, ETHERNET_BYTES, s->header, 2))
		return -DROP_REWRITE_FAILED;
	class = tunnel_class(family, s->header);
	if (family == FAMILY_IPV4)
		tunnel_header_ipv4((struct iphdr *)s->header, class, bytes, to);
	else
		tunnel_header_ipv6((struct ipv6hdr *)s->header, class, bytes,
				   bpf_get_hash_recalc(skb), to);
	if (tunnel_is_unfinished(skb))
		flags |= family == FAMILY_IPV4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
					       : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	bytes = tunnel_bytes(family);
	if (bpf_skb_adjust_room(skb, bytes, BPF_ADJ_ROOM_MAC, flags) ||
	    bpf_skb_store_bytes(skb, ETHERNET_BYTES, s->header, bytes, BPF_F_RECOMPUTE_CSUM))
		return -DROP_REWRITE_FAILED;
	return 0;
}

/* Congestion that the outer header has met (RFC 6040 section 4.2). */
static __always_inline bool tunnel_is_congested(const struct packet *pkt)
{
	__u8 *ip = packet_at(pkt, ETHERNET_BYTES, IPV4_BYTES);

	return ip && (tunnel_class(pkt->family, ip) & TUNNEL_ECN_MASK) == TUNNEL_ECN_CE;
}

/* Forgets what is known of a packet whose headers have become others. */
static __always_inline void packet_forget(struct packet *pkt)
{
	__builtin_memset(&pkt->key, 0, sizeof(pkt->key));
	pkt->flags = 0;
	pkt->tcp_flags = 0;
	pkt->icmp_type = 0;
	pkt->transport_bytes = 0;
	pkt->unwrapped = packet_hide(pkt, 1);
}

/* Takes the outer header off and reads the inner packet. Its fragments come in order: the node that
 * took them in has seen to that. */
static __always_inline int tunnel_unwrap(struct packet *pkt)
{
	bool congested = tunnel_is_congested(pkt);
	__s32 bytes = pkt->family == FAMILY_IPV4 ? IPV4_BYTES : IPV6_BYTES;

	if (bpf_skb_adjust_room(pkt->skb, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -DROP_REWRITE_FAILED;
	if (congested)
		bpf_skb_ecn_set_ce(pkt->skb);
	packet_forget(pkt);
	pkt->flags = PACKET_ORDERED;
	return packet_parse(pkt);
}

#endif
