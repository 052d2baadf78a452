/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about translated packets. The quoted packet is one that left by a flow entry, so
 * its reverse is the key of that flow's other entry, which says how to translate what comes back.
 */
#ifndef ISTHMUS_ICMP_ERROR_H
#define ISTHMUS_ICMP_ERROR_H

#include "established.h"

/* The ports of a quoted transport header, in the direction of the answers. */
static __always_inline void quote_ports(struct quote *quote)
{
	const __u8 *header = quote->transport;
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

enum quote_bytes {
	QUOTE_TCP_BYTES = 18, /* of a quoted TCP header: up to the end of its checksum */
};

/* Bytes of the quoted packet. What follows the IP packet in the frame is no part of it, and no
 * part of the checksum. */
static __always_inline int quote_load(const struct packet *pkt, __u32 at, void *to, __u32 bytes)
{
	if (at + bytes > pkt->length + ETHERNET_BYTES)
		return -1;
	return bpf_skb_load_bytes(pkt->skb, at, to, bytes);
}

/* RFC 5508 REQ-3: the quoted header must be whole and right, its options are passed over. */
static __always_inline int quote_parse_ipv4(struct packet *pkt, struct quote *quote)
{
	struct iphdr *ip = (struct iphdr *)quote->network;
	struct flow_key *key = &quote->reply_key;

	if (quote_load(pkt, quote->network_at, quote->network, IPV4_BYTES))
		return -DROP_TRUNCATED;
	if (ip->version != 4 || ip->ihl < 5 || (ip->ihl == 5 && ipv4_checksum_is_wrong(ip)))
		return -DROP_ICMP_UNSUPPORTED;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return -DROP_ICMP_UNSUPPORTED; /* carries no ports */
	quote->transport_at = quote->network_at + ip->ihl * 4;
	key->protocol = ip->protocol;
	key->source.words[2] = key->destination.words[2] = bpf_htonl(0xffff);
	key->destination.words[3] = ip->saddr;
	key->source.words[3] = ip->daddr;
	return 0;
}

/* Extension headers of the quoted packet, a first fragment's among them. */
static __noinline int quote_walk_extensions(struct packet *pkt, struct quote *quote, __u8 next)
{
	__u32 at = quote->network_at + IPV6_BYTES;

	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		struct ipv6_extension header;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if (quote_load(pkt, at, &header, sizeof(header)))
			return -DROP_TRUNCATED;
		if (next == IPPROTO_FRAGMENT && header.fragment & bpf_htons(0xfff8))
			return -DROP_ICMP_UNSUPPORTED;
		at += next == IPPROTO_FRAGMENT ? sizeof(header) : (header.length + 1) * 8;
		next = header.next;
	}
	quote->reply_key.protocol = next;
	quote->transport_at = at;
	return 0;
}

static __always_inline int quote_parse_ipv6(struct packet *pkt, struct quote *quote)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)quote->network;
	struct flow_key *key = &quote->reply_key;

	if (quote_load(pkt, quote->network_at, quote->network, IPV6_BYTES))
		return -DROP_TRUNCATED;
	if (ip->version != 6)
		return -DROP_ICMP_UNSUPPORTED;
	__builtin_memcpy(&key->destination, &ip->saddr, sizeof(ip_addr));
	__builtin_memcpy(&key->source, &ip->daddr, sizeof(ip_addr));
	return quote_walk_extensions(pkt, quote, ip->nexthdr);
}

/* No error is about an error, and of other messages only echoes are translated. */
static __always_inline bool quote_is_other_icmp(const struct packet *pkt, const struct quote *quote)
{
	__u8 protocol = quote->reply_key.protocol;
	__u8 type = quote->transport[0];

	if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
		return false;
	if (pkt->family == FAMILY_IPV4)
		return type != ICMP4_ECHO && type != ICMP4_ECHO_REPLY;
	return type != ICMP6_ECHO && type != ICMP6_ECHO_REPLY;
}

/* Reads the quoted headers and their reverse tuple. Eight transport bytes are what every error
 * must have (RFC 792); TCP's checksum is translated when it is there. */
static __always_inline int quote_parse_at(struct packet *pkt, struct quote *quote, __u32 at)
{
	int rc;

	__builtin_memset(quote, 0, sizeof(*quote));
	quote->network_at = at;
	rc = pkt->family == FAMILY_IPV4 ? quote_parse_ipv4(pkt, quote)
					: quote_parse_ipv6(pkt, quote);
	if (rc)
		return rc;
	quote->transport_bytes = QUOTE_TCP_BYTES;
	if (quote->reply_key.protocol != IPPROTO_TCP ||
	    quote_load(pkt, quote->transport_at, quote->transport, QUOTE_TCP_BYTES)) {
		quote->transport_bytes = PORTS_BYTES;
		if (quote_load(pkt, quote->transport_at, quote->transport, PORTS_BYTES))
			return -DROP_TRUNCATED;
	}
	if (quote_is_other_icmp(pkt, quote))
		return -DROP_ICMP_UNSUPPORTED;
	quote_ports(quote);
	return 0;
}

static __always_inline int quote_parse(struct packet *pkt, struct quote *quote)
{
	return quote_parse_at(pkt, quote, (pkt->transport & PACKET_OFFSET_MAX) + ICMP_BYTES);
}

/* Whether the quoted packet is one that this node has put around another. */
static __always_inline bool quote_is_tunnel(const struct packet *pkt, const struct quote *quote)
{
	return quote->reply_key.protocol == tunnel_protocol(pkt->family) &&
	       address_equals(&quote->reply_key.destination, &config.node_address[pkt->family & 1]);
}

/* The quoted addresses become what the receiver of the error once sent; returns their difference.
 */
static __always_inline __u64 quote_rewrite_network(struct packet *pkt, struct quote *quote,
						   const struct flow *flow)
{
	__u64 addresses;

	addresses = checksum_change_address(0, &quote->reply_key.destination, &flow->destination);
	addresses = checksum_change_address(addresses, &quote->reply_key.source, &flow->source);
	if (pkt->family == FAMILY_IPV4) {
		struct iphdr *ip = (struct iphdr *)quote->network;

		ip->saddr = flow->destination.words[3];
		ip->daddr = flow->source.words[3];
		ip->check = checksum_apply(ip->check, addresses);
	} else {
		struct ipv6hdr *ip = (struct ipv6hdr *)quote->network;

		__builtin_memcpy(&ip->saddr, &flow->destination, sizeof(ip_addr));
		__builtin_memcpy(&ip->daddr, &flow->source, sizeof(ip_addr));
	}
	return addresses;
}

static __always_inline void quote_rewrite_echo(struct packet *pkt, struct quote *quote,
					       const struct flow *flow, __u64 addresses)
{
	__u8 *header = quote->transport;
	bool request = header[0] == ICMP4_ECHO || header[0] == ICMP6_ECHO;
	__be16 from, to = request ? flow->destination_port : flow->source_port;
	__u64 difference;
	__u16 checksum;

	__builtin_memcpy(&from, header + 4, 2);
	__builtin_memcpy(header + 4, &to, 2);
	difference = checksum_change(pkt->family == FAMILY_IPV4 ? 0 : addresses, from, to);
	__builtin_memcpy(&checksum, header + 2, 2);
	checksum = checksum_apply(checksum, difference);
	__builtin_memcpy(header + 2, &checksum, 2);
}

static __always_inline void quote_rewrite_ports(struct quote *quote, const struct flow *flow,
						__u64 addresses)
{
	__u8 *header = quote->transport;
	bool tcp = quote->reply_key.protocol == IPPROTO_TCP;
	__u64 difference;
	__u16 checksum;

	difference = checksum_change(addresses, quote->reply_key.destination_port,
				     flow->destination_port);
	difference = checksum_change(difference, quote->reply_key.source_port, flow->source_port);
	__builtin_memcpy(header, &flow->destination_port, 2);
	__builtin_memcpy(header + 2, &flow->source_port, 2);
	/* SCTP has its tag where UDP has its checksum; its own is about more than is quoted. */
	if (quote->reply_key.protocol == IPPROTO_SCTP ||
	    (tcp && quote->transport_bytes != QUOTE_TCP_BYTES))
		return;
	__builtin_memcpy(&checksum, tcp ? header + 16 : header + 6, 2);
	if (!checksum && !tcp)
		return;
	checksum = checksum_apply(checksum, difference);
	if (!checksum && !tcp)
		checksum = 0xffff; /* RFC 768: zero would say that there is none */
	__builtin_memcpy(tcp ? header + 16 : header + 6, &checksum, 2);
}

/* Rewrites the quoted headers to what the receiver of the error once sent. */
static __always_inline void quote_rewrite(struct packet *pkt, struct quote *quote,
					  const struct flow *flow)
{
	__u8 protocol = quote->reply_key.protocol;
	__u64 addresses;

	__builtin_memcpy(quote->network_before, quote->network, QUOTE_NETWORK_BYTES);
	__builtin_memcpy(quote->transport_before, quote->transport, QUOTE_TRANSPORT_BYTES);
	addresses = quote_rewrite_network(pkt, quote, flow);
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		quote_rewrite_echo(pkt, quote, flow, addresses);
	else
		quote_rewrite_ports(quote, flow, addresses);
}

static __always_inline int quote_store(struct packet *pkt, const struct quote *quote)
{
	int rc;

	if (pkt->family == FAMILY_IPV4)
		rc = bpf_skb_store_bytes(pkt->skb, quote->network_at, quote->network, IPV4_BYTES,
					 0);
	else
		rc = bpf_skb_store_bytes(pkt->skb, quote->network_at, quote->network, IPV6_BYTES,
					 0);
	if (rc)
		return rc;
	if (quote->transport_bytes == QUOTE_TCP_BYTES)
		return bpf_skb_store_bytes(pkt->skb, quote->transport_at, quote->transport,
					   QUOTE_TCP_BYTES, 0);
	return bpf_skb_store_bytes(pkt->skb, quote->transport_at, quote->transport, PORTS_BYTES, 0);
}

/* What was not read is zero in both copies, and so no part of the difference. */
static __always_inline __s64 quote_difference(struct quote *quote)
{
	__s64 difference = bpf_csum_diff((__be32 *)quote->network_before, QUOTE_NETWORK_BYTES,
					 (__be32 *)quote->network, QUOTE_NETWORK_BYTES, 0);

	return bpf_csum_diff((__be32 *)quote->transport_before, QUOTE_TRANSPORT_BYTES,
			     (__be32 *)quote->transport, QUOTE_TRANSPORT_BYTES, difference);
}

/* The outer addresses, and the ICMP checksum over all that changed. */
static __always_inline int icmp_error_store(struct packet *pkt, struct quote *quote,
					    const struct flow *outer)
{
	__u32 checksum = (pkt->transport & PACKET_OFFSET_MAX) + 2;
	__u64 addresses = 0;

	if (quote_store(pkt, quote) || rewrite_addresses(pkt, outer, &addresses))
		return -DROP_REWRITE_FAILED;
	if (bpf_l4_csum_replace(pkt->skb, checksum, 0, checksum_fold(quote_difference(quote)), 0))
		return -DROP_REWRITE_FAILED;
	if (pkt->family == FAMILY_IPV6 && rewrite_pseudo_header(pkt, checksum, addresses, 0))
		return -DROP_REWRITE_FAILED;
	return 0;
}

/* Translates and forwards an error about a packet of `flow`'s other direction. */
static __always_inline int icmp_error_forward(struct packet *pkt, struct scratch *s,
					      struct flow *flow)
{
	struct quote *quote = &s->quote;
	int rc;

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

/* About an answer that another node has sent: it knows what it was. */
static __always_inline int icmp_error_hand_over(struct packet *pkt, struct flow *flow)
{
	int rc = pkt->ttl <= 1 ? -DROP_TTL_EXCEEDED : packet_decrement_ttl(pkt);

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
	/* From the wire it may be about the host's own traffic, which the host judges itself. */
	if (rc)
		return pkt->direction == DIRECTION_FROM_NETDEV ? 0 : rc;
	flow = bpf_map_lookup_elem(&flows, &s->quote.reply_key);
	if (!flow)
		return 0;
	if (flow->ifindex_in != pkt->skb->ifindex)
		return -DROP_WRONG_DEVICE;
	if (flow->flags & FLOW_ENCAPSULATE)
		return icmp_error_hand_over(pkt, flow);
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
