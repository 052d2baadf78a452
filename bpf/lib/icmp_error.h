/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about translated packets. The quoted packet is one that left by a flow entry, so
 * its reverse is the key of that flow's other entry, which says how to translate what comes back.
 */
#ifndef ISTHMUS_ICMP_ERROR_H
#define ISTHMUS_ICMP_ERROR_H

#include "established.h"

enum icmp_error_limits {
	QUOTE_BYTES = IPV6_BYTES + PORTS_BYTES, /* what is read of the quoted packet */
};

static __always_inline void quote_ports(struct quote *quote, const __u8 *header)
{
	struct flow_key *key = &quote->reply_key;

	if (key->protocol != IPPROTO_ICMP && key->protocol != IPPROTO_ICMPV6) {
		__builtin_memcpy(&key->destination_port, header, 2);
		__builtin_memcpy(&key->source_port, header + 2, 2);
		return;
	}
	/* The identifier of an echo request comes back as the reply's destination "port". */
	if (header[0] == ICMP4_ECHO || header[0] == ICMP6_ECHO)
		__builtin_memcpy(&key->destination_port, header + 4, 2);
	else
		__builtin_memcpy(&key->source_port, header + 4, 2);
}

/* Reads the beginning of the quoted packet and its reverse tuple. */
static __always_inline int quote_parse(struct packet *pkt, struct quote *quote)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u32 at = (pkt->transport & PACKET_OFFSET_MAX) + ICMP_BYTES;
	struct flow_key *key = &quote->reply_key;

	__builtin_memset(quote, 0, sizeof(*quote));
	if (ipv4 ? bpf_skb_load_bytes(pkt->skb, at, quote->bytes, IPV4_BYTES + PORTS_BYTES)
		 : bpf_skb_load_bytes(pkt->skb, at, quote->bytes, IPV6_BYTES + PORTS_BYTES))
		return -DROP_TRUNCATED;
	if (ipv4) {
		struct iphdr *ip = (struct iphdr *)quote->bytes;

		if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return -DROP_ICMP_UNSUPPORTED;
		key->protocol = ip->protocol;
		key->source.words[2] = key->destination.words[2] = bpf_htonl(0xffff);
		key->destination.words[3] = ip->saddr;
		key->source.words[3] = ip->daddr;
		quote_ports(quote, quote->bytes + IPV4_BYTES);
	} else {
		struct ipv6hdr *ip = (struct ipv6hdr *)quote->bytes;

		key->protocol = ip->nexthdr;
		__builtin_memcpy(&key->destination, &ip->saddr, sizeof(ip_addr));
		__builtin_memcpy(&key->source, &ip->daddr, sizeof(ip_addr));
		quote_ports(quote, quote->bytes + IPV6_BYTES);
	}
	return 0;
}

/* Rewrites the quoted addresses and ports to what the receiver of the error once sent. */
static __always_inline void quote_rewrite(struct packet *pkt, struct quote *quote,
					  const struct flow *flow)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	bool icmp = quote->reply_key.protocol == IPPROTO_ICMP ||
		    quote->reply_key.protocol == IPPROTO_ICMPV6;
	__u64 addresses = 0, ports = 0;
	__u8 *header = ipv4 ? quote->bytes + IPV4_BYTES : quote->bytes + IPV6_BYTES;
	__u16 checksum;

	addresses = checksum_change_address(0, &quote->reply_key.destination, &flow->destination);
	addresses = checksum_change_address(addresses, &quote->reply_key.source, &flow->source);
	if (ipv4) {
		struct iphdr *ip = (struct iphdr *)quote->bytes;

		ip->saddr = flow->destination.words[3];
		ip->daddr = flow->source.words[3];
		ip->check = checksum_apply(ip->check, addresses);
	} else {
		struct ipv6hdr *ip = (struct ipv6hdr *)quote->bytes;

		__builtin_memcpy(&ip->saddr, &flow->destination, sizeof(ip_addr));
		__builtin_memcpy(&ip->daddr, &flow->source, sizeof(ip_addr));
	}
	if (icmp) {
		bool request = header[0] == ICMP4_ECHO || header[0] == ICMP6_ECHO;
		__be16 from, to = request ? flow->destination_port : flow->source_port;

		__builtin_memcpy(&from, header + 4, 2);
		__builtin_memcpy(header + 4, &to, 2);
		ports = checksum_change(0, from, to);
		__builtin_memcpy(&checksum, header + 2, 2);
		checksum = checksum_apply(checksum, ipv4 ? ports : addresses + ports);
		__builtin_memcpy(header + 2, &checksum, 2);
		return;
	}
	ports = checksum_change(0, quote->reply_key.destination_port, flow->destination_port);
	ports = checksum_change(ports, quote->reply_key.source_port, flow->source_port);
	__builtin_memcpy(header, &flow->destination_port, 2);
	__builtin_memcpy(header + 2, &flow->source_port, 2);
	if (quote->reply_key.protocol != IPPROTO_UDP)
		return; /* a TCP checksum is beyond the 8 quoted bytes that every error has */
	__builtin_memcpy(&checksum, header + 6, 2);
	if (checksum) {
		checksum = checksum_apply(checksum, addresses + ports);
		__builtin_memcpy(header + 6, &checksum, 2);
	}
}

/* The outer addresses, and the ICMP checksum over all that changed. */
static __always_inline int icmp_error_store(struct packet *pkt, struct quote *quote,
					    const struct flow *outer)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u32 transport = pkt->transport & PACKET_OFFSET_MAX;
	__u32 at = transport + ICMP_BYTES;
	__u64 addresses = 0;
	__s64 difference;
	int rc;

	if (ipv4) {
		difference = bpf_csum_diff((__be32 *)quote->before, IPV4_BYTES + PORTS_BYTES,
					   (__be32 *)quote->bytes, IPV4_BYTES + PORTS_BYTES, 0);
		rc = bpf_skb_store_bytes(pkt->skb, at, quote->bytes, IPV4_BYTES + PORTS_BYTES, 0);
	} else {
		difference = bpf_csum_diff((__be32 *)quote->before, QUOTE_BYTES,
					   (__be32 *)quote->bytes, QUOTE_BYTES, 0);
		rc = bpf_skb_store_bytes(pkt->skb, at, quote->bytes, QUOTE_BYTES, 0);
	}
	if (rc || rewrite_addresses(pkt, outer, &addresses))
		return -DROP_REWRITE_FAILED;
	if (bpf_l4_csum_replace(pkt->skb, transport + 2, 0, checksum_fold(difference), 0))
		return -DROP_REWRITE_FAILED;
	if (!ipv4 && bpf_l4_csum_replace(pkt->skb, transport + 2, 0, checksum_fold(addresses),
					 BPF_F_PSEUDO_HDR))
		return -DROP_REWRITE_FAILED;
	return 0;
}

/* Translates and forwards an error about a packet of `flow`'s other direction. */
static __always_inline int icmp_error_forward(struct packet *pkt, struct scratch *s,
					      struct flow *flow)
{
	struct quote *quote = &s->quote;
	int rc;

	__builtin_memcpy(quote->before, quote->bytes, QUOTE_BYTES);
	quote_rewrite(pkt, quote, flow);
	s->flow.destination = flow->destination;
	s->flow.source = pkt->key.source;
	/* Who reports about itself is known to the receiver by its outside name. */
	if (address_equals(&pkt->key.source, &quote->reply_key.source))
		s->flow.source = flow->source;
	rc = pkt->ttl <= 1 ? -DROP_TTL_EXCEEDED : packet_decrement_ttl(pkt);
	rc = rc ?: icmp_error_store(pkt, quote, &s->flow);
	return rc ?: flow_forward(pkt, flow);
}

static __noinline int icmp_error_lookup(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct flow *flow;
	int rc;

	if (!s)
		return -DROP_REWRITE_FAILED;
	rc = quote_parse(pkt, &s->quote);
	if (rc)
		return rc;
	flow = bpf_map_lookup_elem(&flows, &s->quote.reply_key);
	if (!flow)
		return 0;
	if (flow->ifindex_in != pkt->skb->ifindex)
		return -DROP_WRONG_DEVICE;
	return icmp_error_forward(pkt, s, flow);
}

/* Goes on (0) with what is no error, or an error about a flow that is not ours. */
static __always_inline int icmp_error_translate(struct packet *pkt)
{
	if (!(pkt->flags & PACKET_ICMP_ERROR))
		return 0;
	return icmp_error_lookup(pkt);
}

#endif
