/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes to a packet on its way: TTL, addresses, ports and their checksums. */
#ifndef ISTHMUS_REWRITE_H
#define ISTHMUS_REWRITE_H

#include "checksum.h"
#include "packet.h"

/* What stands in the transport's checksum field. Only asked where config.fast_checksum is set. */
static __always_inline __u32 packet_ip_summed(const struct packet *pkt)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(pkt->skb);

	return BPF_CORE_READ_BITFIELD(skb, ip_summed);
}

static __always_inline void ipv4_decrement_ttl(struct iphdr *ip)
{
	ip->check = checksum_apply(ip->check, (__u16)~bpf_htons(0x0100));
	ip->ttl--;
}

/* One hop less. The caller has answered TTL 1 already. */
static __always_inline int packet_decrement_ttl(struct packet *pkt)
{
	if (pkt->family == FAMILY_IPV4) {
		struct iphdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV4_BYTES);

		if (!ip)
			return -DROP_REWRITE_FAILED;
		ipv4_decrement_ttl(ip);
		return 0;
	}
	struct ipv6hdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV6_BYTES);

	if (!ip)
		return -DROP_REWRITE_FAILED;
	ip->hop_limit--;
	/* A device's sum over the whole packet changes; IPv4's header balances its own. */
	if (!config.fast_checksum || packet_ip_summed(pkt) == CHECKSUM_COMPLETE)
		bpf_csum_update(pkt->skb, (__u16)~bpf_htons(1));
	return 0;
}

/* The addresses of a header; returns their difference for the transport's checksum. */
static __always_inline __u64 ipv4_rewrite(struct iphdr *ip, const struct flow *flow)
{
	__u64 difference = checksum_change(0, ip->saddr, flow->source.words[3]);

	difference = checksum_change(difference, ip->daddr, flow->destination.words[3]);
	ip->saddr = flow->source.words[3];
	ip->daddr = flow->destination.words[3];
	ip->check = checksum_apply(ip->check, difference);
	return difference;
}

/* The same; `key` has the addresses of the packet. */
static __always_inline __u64 ipv6_rewrite(struct ipv6hdr *ip, const struct flow_key *key,
					  const struct flow *flow)
{
	__u64 difference = checksum_change_address(0, &key->source, &flow->source);

	difference = checksum_change_address(difference, &key->destination, &flow->destination);
	__builtin_memcpy(&ip->saddr, &flow->source, sizeof(ip_addr));
	__builtin_memcpy(&ip->daddr, &flow->destination, sizeof(ip_addr));
	return difference;
}

/* Both ports of a TCP or UDP header; returns their difference. */
static __always_inline __u64 ports_rewrite(__u8 *header, const struct flow *flow)
{
	__be16 *port = (__be16 *)header;
	__u64 difference = checksum_change(0, port[0], flow->source_port);

	difference = checksum_change(difference, port[1], flow->destination_port);
	port[0] = flow->source_port;
	port[1] = flow->destination_port;
	return difference;
}

/* A finished checksum of the transport. */
static __always_inline void transport_sum_change(__sum16 *checksum, __u8 protocol, __u64 difference)
{
	*checksum = checksum_apply(*checksum, difference);
	if (protocol == IPPROTO_UDP && !*checksum)
		*checksum = 0xffff; /* 0 would say "no checksum" (RFC 768) */
}

/* The addresses; returns their difference for the transport's checksum by pointer. */
static __always_inline int rewrite_addresses(struct packet *pkt, const struct flow *flow,
					     __u64 *difference)
{
	if (pkt->family == FAMILY_IPV4) {
		struct iphdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV4_BYTES);

		if (!ip)
			return -DROP_REWRITE_FAILED;
		*difference = ipv4_rewrite(ip, flow);
		return 0;
	}
	struct ipv6hdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV6_BYTES);

	if (!ip)
		return -DROP_REWRITE_FAILED;
	*difference = ipv6_rewrite(ip, &pkt->key, flow);
	return 0;
}

/* Where the transport's checksum is, from its header; negative when it has none of ours. */
static __always_inline int transport_checksum_offset(const struct packet *pkt)
{
	switch (pkt->key.protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return -1;
	}
}

/* An ICMP echo has one identifier: the port of its sender. */
static __always_inline __be16 flow_identifier(const struct packet *pkt, const struct flow *flow)
{
	bool request = pkt->icmp_type == (pkt->family == FAMILY_IPV4 ? ICMP4_ECHO : ICMP6_ECHO);

	return request ? flow->source_port : flow->destination_port;
}

/* Where no checksum in the packet balances what changed, the device's sum over all of it moves. */
static __always_inline void rewrite_sum_alone(struct packet *pkt, __u64 addresses, __u64 ports)
{
	/* IPv4 addresses have the header's checksum. */
	bpf_csum_update(pkt->skb,
			checksum_fold(pkt->family == FAMILY_IPV4 ? ports : addresses + ports));
}

/* Ports and checksum by direct writes. `addresses` is what rewrite_addresses() found. */
static __always_inline int rewrite_transport_fast(struct packet *pkt, const struct flow *flow,
						  __u64 addresses)
{
	bool icmp = packet_is_icmp(pkt);
	__u32 summed = packet_ip_summed(pkt);
	__u64 ports = 0;
	__sum16 *checksum;
	__u8 *header;

	header = packet_at(pkt, pkt->transport,
			   pkt->key.protocol == IPPROTO_TCP ? TCP_BYTES : PORTS_BYTES);
	if (!header)
		return -DROP_REWRITE_FAILED;
	if (icmp) {
		__be16 *identifier = (__be16 *)(header + 4);
		__be16 to = flow_identifier(pkt, flow);

		ports = checksum_change(0, *identifier, to);
		*identifier = to;
		if (pkt->key.protocol == IPPROTO_ICMP)
			addresses = 0; /* ICMPv4 has no pseudo header (RFC 792) */
		checksum = (__sum16 *)(header + 2);
	} else {
		ports = ports_rewrite(header, flow);
		if (pkt->key.protocol == IPPROTO_TCP) {
			/* packet_at() proved TCP_BYTES on TCP's branch only: prove it again. */
			header = packet_at(pkt, pkt->transport, TCP_BYTES);
			if (!header)
				return -DROP_REWRITE_FAILED;
			checksum = (__sum16 *)(header + 16);
		} else {
			checksum = (__sum16 *)(header + 6);
			if (!*checksum && summed != CHECKSUM_PARTIAL) {
				rewrite_sum_alone(pkt, addresses, ports);
				return 0; /* UDP without a checksum stays so (RFC 768) */
			}
		}
	}
	if (summed == CHECKSUM_PARTIAL) {
		*checksum = checksum_apply_partial(*checksum, addresses);
		return 0;
	}
	transport_sum_change(checksum, pkt->key.protocol, addresses + ports);
	/* The device's sum over the whole packet: all but the IPv4 pseudo header cancels out. */
	if (summed == CHECKSUM_COMPLETE && pkt->family == FAMILY_IPV4)
		bpf_csum_update(pkt->skb, ~checksum_fold(addresses) & 0xffff);
	return 0;
}

/*
 * The transport's checksum after a change of addresses. The helper takes every pseudo header for
 * IPv4's, whose own header checksum keeps the device's sum; BPF_F_IPV6 tells it, but only in 6.16.
 */
static __always_inline int rewrite_pseudo_header(struct packet *pkt, __u32 offset, __u64 addresses,
						 __u64 flags)
{
	if (bpf_l4_csum_replace(pkt->skb, offset, 0, checksum_fold(addresses),
				BPF_F_PSEUDO_HDR | flags))
		return -1;
	if (pkt->family == FAMILY_IPV6)
		bpf_csum_update(pkt->skb, checksum_fold(addresses));
	return 0;
}

/* The same by helpers, which know what the checksum field holds, where the kernel does not tell. */
static __noinline int rewrite_transport_slow(struct packet *pkt, const struct flow *flow,
					     __u64 addresses)
{
	bool icmp = packet_is_icmp(pkt);
	int offset = transport_checksum_offset(pkt);
	__u32 transport = pkt->transport & PACKET_OFFSET_MAX;
	__u64 mangled = pkt->key.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	struct __sk_buff *skb = pkt->skb;

	if (offset < 0)
		return -DROP_UNSUPPORTED_PROTOCOL;
	offset += transport;
	if (pkt->key.protocol != IPPROTO_ICMP &&
	    rewrite_pseudo_header(pkt, offset, addresses, mangled))
		return -DROP_REWRITE_FAILED;
	if (icmp) {
		__be16 from = pkt->key.source_port ?: pkt->key.destination_port;
		__be16 to = flow_identifier(pkt, flow);

		if (bpf_l4_csum_replace(skb, offset, from, to, 2) ||
		    bpf_skb_store_bytes(skb, transport + 4, &to, sizeof(to), 0))
			return -DROP_REWRITE_FAILED;
		return 0;
	}
	struct {
		__be16 source;
		__be16 destination;
	} ports = {flow->source_port, flow->destination_port};
	__sum16 checksum = 0;

	if (mangled && !bpf_skb_load_bytes(skb, offset, &checksum, sizeof(checksum)) && !checksum) {
		__u64 change = checksum_change(0, pkt->key.source_port, ports.source);

		change = checksum_change(change, pkt->key.destination_port, ports.destination);
		bpf_csum_update(skb, checksum_fold(change));
	}

	if (bpf_l4_csum_replace(skb, offset, pkt->key.source_port, ports.source, 2 | mangled) ||
	    bpf_l4_csum_replace(skb, offset, pkt->key.destination_port, ports.destination,
				2 | mangled) ||
	    bpf_skb_store_bytes(skb, transport, &ports, sizeof(ports), 0))
		return -DROP_REWRITE_FAILED;
	return 0;
}

/*
 * SCTP has no pseudo header: new addresses leave its checksum as it is. New ports move it by what
 * the packet's length says, which no fragment knows.
 */
static __always_inline int rewrite_sctp(struct packet *pkt, const struct flow *flow,
					__u64 addresses)
{
	__u32 at = pkt->transport & PACKET_OFFSET_MAX;
	bool unfinished = config.fast_checksum && packet_ip_summed(pkt) == CHECKSUM_PARTIAL;

	/* The device's sum over all of an IPv6 packet: no other checksum balances its addresses. */
	if (pkt->family == FAMILY_IPV6)
		bpf_csum_update(pkt->skb, checksum_fold(addresses));
	if (pkt->key.source_port == flow->source_port &&
	    pkt->key.destination_port == flow->destination_port)
		return 0;
	if (pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT))
		return -DROP_UNSUPPORTED_PROTOCOL;
	if (sctp_write_ports(pkt->skb, at, pkt->length + ETHERNET_BYTES - at,
			     (__u32)flow->destination_port << 16 | flow->source_port, unfinished))
		return -DROP_REWRITE_FAILED;
	return 0;
}

/* Makes the packet what the flow says. Later fragments have addresses only. */
static __always_inline int packet_rewrite(struct packet *pkt, const struct flow *flow)
{
	__u64 addresses = 0;
	int rc;

	if (!(flow->flags & (FLOW_REWRITE_SOURCE | FLOW_REWRITE_DESTINATION)))
		return 0;
	rc = rewrite_addresses(pkt, flow, &addresses);
	if (rc)
		return rc;
	if (pkt->key.protocol == IPPROTO_SCTP)
		return rewrite_sctp(pkt, flow, addresses);
	if (pkt->flags & PACKET_LATER_FRAGMENT)
		return 0;
	if (config.fast_checksum)
		return rewrite_transport_fast(pkt, flow, addresses);
	return rewrite_transport_slow(pkt, flow, addresses);
}

#endif
