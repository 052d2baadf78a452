/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A frame: a packet that has no skb yet, at the xdp hook. Only the plain ones are read here, TCP
 * and UDP without fragments, options or extension headers, and only flows are followed that both
 * come from the uplink and leave by it. All else is left to the packet hooks, which judge it the
 * same.
 */
#ifndef ISTHMUS_FRAME_H
#define ISTHMUS_FRAME_H

#include "events.h"
#include "established.h"

/* A pointer to `bytes` of the frame at `offset`, or NULL when its first buffer ends before. */
static __always_inline void *frame_at(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	void *data = PACKET_POINTER(ctx, data);
	void *end = PACKET_POINTER(ctx, data_end);

	offset &= PACKET_OFFSET_MAX;
	if (data + offset + bytes > end)
		return NULL;
	return data + offset;
}

static __always_inline bool mac_equals(const __u8 *mac, const volatile mac_addr *other)
{
	for (int i = 0; i < 6; i++)
		if (mac[i] != other->bytes[i])
			return false;
	return true;
}

static __always_inline int frame_parse_network(struct xdp_md *ctx, struct packet *pkt,
					       __be16 protocol)
{
	__u32 received = bpf_xdp_get_buff_len(ctx) - ETHERNET_BYTES;

	if (protocol == bpf_htons(ETHERTYPE_IPV4)) {
		struct iphdr *ip = frame_at(ctx, ETHERNET_BYTES, IPV4_BYTES);

		return ip && ip->ihl == 5 && ip->tot_len ? packet_take_ipv4(pkt, ip, received)
							 : VERDICT_TO_HOST;
	}
	if (protocol == bpf_htons(ETHERTYPE_IPV6)) {
		struct ipv6hdr *ip = frame_at(ctx, ETHERNET_BYTES, IPV6_BYTES);

		return ip && ip->payload_len ? packet_take_ipv6(pkt, ip, received)
					     : VERDICT_TO_HOST;
	}
	return VERDICT_TO_HOST;
}

static __always_inline int frame_parse_transport(struct xdp_md *ctx, struct packet *pkt)
{
	bool tcp = pkt->key.protocol == IPPROTO_TCP;
	__u32 bytes = tcp ? TCP_BYTES : PORTS_BYTES;
	__u8 *header;

	if ((!tcp && pkt->key.protocol != IPPROTO_UDP) || packet_is_fragment(pkt) ||
	    !packet_holds(pkt, pkt->transport, bytes))
		return VERDICT_TO_HOST;
	header = frame_at(ctx, pkt->transport, bytes);
	if (!header)
		return VERDICT_TO_HOST;
	packet_take_ports(pkt, header);
	if (!tcp)
		return 0;
	header = frame_at(ctx, pkt->transport, TCP_BYTES);
	return header ? packet_take_tcp(pkt, header) : VERDICT_TO_HOST;
}

/* Fills pkt. What is malformed is left to who counts it. */
static __always_inline int frame_parse(struct xdp_md *ctx, struct packet *pkt)
{
	struct ethhdr *ethernet = frame_at(ctx, 0, ETHERNET_BYTES);
	int rc;

	if (!ethernet || !mac_equals(ethernet->h_dest, &config.uplink_mac))
		return VERDICT_TO_HOST;
	rc = frame_parse_network(ctx, pkt, ethernet->h_proto);
	rc = rc ?: frame_parse_transport(ctx, pkt);
	return rc ? VERDICT_TO_HOST : 0;
}

/*
 * Whether the checksum field holds the sum of the pseudo header, as it does until a device finishes
 * it (CHECKSUM_PARTIAL): a frame of a machine's own stack that has been on no wire. An xdp program
 * is not told, and what it sends on is never finished. One finished checksum in 65,536 looks the
 * same by chance; it is left to the packet hooks, too, which are told.
 */
static __always_inline bool frame_is_unfinished(const struct packet *pkt, __sum16 checksum)
{
	__u32 bytes = pkt->length + ETHERNET_BYTES - pkt->transport;
	__u64 sum = (__u64)bpf_htons(pkt->key.protocol) + bpf_htons(bytes);

	/* The prefix of mapped addresses adds 0xffff, which is 0 to such a sum. */
	for (int i = 0; i < 4; i++)
		sum += (__u64)pkt->key.source.words[i] + pkt->key.destination.words[i];
	sum = checksum_fold(sum + (__u16)~checksum);
	return !sum || sum == 0xffff;
}

static __always_inline __sum16 *frame_checksum(struct xdp_md *ctx, const struct packet *pkt)
{
	bool tcp = pkt->key.protocol == IPPROTO_TCP;

	return frame_at(ctx, pkt->transport + (tcp ? 16 : 6), sizeof(__sum16));
}

/* Asks for the way of a flow's packets, and leaves it in the flow and in the slot of its next hop.
 * Not static, so that the verifier walks it once. 0: there is none, or its MAC is not known. */
__noinline int frame_resolve(struct xdp_md *ctx, const struct flow_key *to, struct flow *flow,
			     struct next_hop *hop)
{
	struct scratch *s = scratch_get();
	struct bpf_fib_lookup *fib;
	struct node_mtu *known;
	struct route *route;
	bool stale = false;

	if (!s || !to || !flow || !hop || !fib_ask(ctx, ctx->ingress_ifindex, to, flow))
		return 0;
	fib = (struct bpf_fib_lookup *)s->fib;
	hop->address = flow->next_hop;
	__builtin_memcpy(&hop->mac, fib->dmac, sizeof(hop->mac));
	__builtin_memcpy(&hop->source, fib->smac, sizeof(hop->source));
	hop->resolved = flow->resolved;
	route = route_to_node(&to->destination);
	if (!route)
		return 1;
	known = node_mtu_find(&route->next_hop, &stale);
	if (!known)
		return 0;
	if (stale)
		node_mtu_ask(ctx, ctx->ingress_ifindex, known);
	if (known->mtu < flow->mtu)
		flow->mtu = known->mtu;
	return 1;
}

static __always_inline struct next_hop *next_hop_slot(const ip_addr *address)
{
	__u32 slot = address->bytes[15] & (NEXT_HOP_SLOTS - 1);

	return bpf_map_lookup_elem(&next_hops, &slot);
}

/* Whether the slot says in this second how to reach the flow's next hop. */
static __always_inline bool next_hop_is_known(const struct next_hop *hop, const struct flow *flow,
					      seconds now)
{
	return hop->resolved == now && address_equals(&hop->address, &flow->next_hop);
}

static __always_inline bool mac_is_known(const mac_addr *mac)
{
	return mac->bytes[0] | mac->bytes[1] | mac->bytes[2] | mac->bytes[3] | mac->bytes[4] |
	       mac->bytes[5];
}

/*
 * Once a second and flow, as flow_refresh() does it, and where another next hop took the slot.
 * NULL: the packet hooks shall see to it.
 */
static __always_inline struct next_hop *frame_refresh(struct xdp_md *ctx, const struct packet *pkt,
						      struct flow *flow, seconds now)
{
	struct next_hop *hop = next_hop_slot(&flow->next_hop);
	struct scratch *s = scratch_get();
	struct flow_key *to;

	if (!hop || !s)
		return NULL;
	if (flow->seen == now && next_hop_is_known(hop, flow, now))
		return hop;
	to = &s->pair_key;
	*to = pkt->key;
	to->source = flow->source;
	to->destination = flow->destination;
	to->source_port = flow->source_port;
	to->destination_port = flow->destination_port;
	if (!frame_resolve(ctx, to, flow, hop) || !mac_is_known(&hop->mac))
		return NULL;
	/* By its new next hop, which may have another slot: the next packet finds it there. */
	return next_hop_slot(&flow->next_hop) == hop ? hop : NULL;
}

/* Of every next hop, now and then a packet takes the way through the stack: it notices only so that
 * the neighbour is in use, and has to be asked again whether it is there. */
static __always_inline bool next_hop_tell(struct next_hop *hop, seconds now)
{
	if (now - hop->told < NEXT_HOP_TELL)
		return false;
	hop->told = now;
	return true;
}

/* As tracking_record(), from the header itself. */
static __always_inline void frame_record(struct xdp_md *ctx, const struct packet *pkt,
					 struct flow *flow)
{
	__be32 *acknowledged = frame_at(ctx, pkt->transport + 8, sizeof(*acknowledged));

	if (acknowledged && pkt->tcp_flags & TCP_ACK)
		flow->acknowledged = bpf_ntohl(*acknowledged);
}

/* Hop limit and addresses; negative when the headers are not where they were. */
static __always_inline int frame_rewrite_network(struct xdp_md *ctx, const struct packet *pkt,
						 const struct flow *flow, __u64 *difference)
{
	if (pkt->family == FAMILY_IPV4) {
		struct iphdr *ip = frame_at(ctx, ETHERNET_BYTES, IPV4_BYTES);

		if (!ip)
			return -DROP_REWRITE_FAILED;
		ipv4_decrement_ttl(ip);
		*difference = ipv4_rewrite(ip, flow);
		return 0;
	}
	struct ipv6hdr *ip = frame_at(ctx, ETHERNET_BYTES, IPV6_BYTES);

	if (!ip)
		return -DROP_REWRITE_FAILED;
	ip->hop_limit--;
	*difference = ipv6_rewrite(ip, &pkt->key, flow);
	return 0;
}

/* Makes the frame what the flow says. Its checksum is finished. */
static __always_inline int frame_rewrite(struct xdp_md *ctx, const struct packet *pkt,
					 const struct flow *flow)
{
	__sum16 *checksum;
	__u64 difference = 0;
	__u8 *ports;
	int rc = frame_rewrite_network(ctx, pkt, flow, &difference);

	if (rc)
		return rc;
	ports = frame_at(ctx, pkt->transport, PORTS_BYTES);
	if (!ports)
		return -DROP_REWRITE_FAILED;
	difference += ports_rewrite(ports, flow);
	checksum = frame_checksum(ctx, pkt);
	if (!checksum)
		return -DROP_REWRITE_FAILED;
	/* UDP without a checksum stays so (RFC 768). */
	if (*checksum || pkt->key.protocol == IPPROTO_TCP)
		transport_sum_change(checksum, pkt->key.protocol, difference);
	return 0;
}

static __always_inline int frame_send(struct xdp_md *ctx, const struct packet *pkt,
				      const struct next_hop *hop)
{
	struct ethhdr *ethernet = frame_at(ctx, 0, ETHERNET_BYTES);
	__u32 zero = 0;
	struct xdp_counter *counter = bpf_map_lookup_elem(&xdp_counters, &zero);

	if (!ethernet)
		return -DROP_REWRITE_FAILED;
	__builtin_memcpy(ethernet->h_dest, &hop->mac, sizeof(mac_addr));
	__builtin_memcpy(ethernet->h_source, &hop->source, sizeof(mac_addr));
	if (counter) {
		counter->packets++;
		counter->bytes += pkt->length;
	}
	return VERDICT_SENT;
}

/* Whether this packet neither changes the state of its flow nor needs an answer, another device,
 * or what only the packet hooks can do. */
static __always_inline bool frame_is_plain(struct xdp_md *ctx, const struct packet *pkt,
					   const struct flow *flow)
{
	__sum16 *checksum = frame_checksum(ctx, pkt);

	return !(flow->flags & (FLOW_TO_CONTAINER | FLOW_ENCAPSULATE)) && !flow->shift &&
	       flow->ifindex_in == ctx->ingress_ifindex &&
	       flow->ifindex_out == ctx->ingress_ifindex &&
	       !tracking_is_needed(flow, flow_observe(pkt, flow)) && checksum &&
	       !frame_is_unfinished(pkt, *checksum);
}

/* Translates an established packet and sends it back to the wire, as flow_apply() would. */
static __always_inline int frame_apply(struct xdp_md *ctx, struct packet *pkt, struct flow *flow)
{
	seconds now = clock_seconds();
	struct next_hop *hop;
	int rc;

	if (!frame_is_plain(ctx, pkt, flow))
		return VERDICT_TO_HOST;
	hop = frame_refresh(ctx, pkt, flow, now);
	if (!hop || flow->ifindex_out != ctx->ingress_ifindex || next_hop_tell(hop, now))
		return VERDICT_TO_HOST;
	if (pkt->ttl <= 1 || pkt->length > flow->mtu)
		return VERDICT_TO_HOST;
	if (flow->seen != now) {
		flow->seen = now;
		if (pkt->key.protocol == IPPROTO_TCP)
			frame_record(ctx, pkt, flow);
	}
	flow->packets++;
	flow->bytes += pkt->length;
	rc = frame_rewrite(ctx, pkt, flow);
	return rc ?: frame_send(ctx, pkt, hop);
}

/* As drop_record(). */
static __noinline int frame_drop_record(struct xdp_md *ctx, __u32 reason)
{
	struct drop_key key = {.reason = reason, .direction = DIRECTION_FROM_NETDEV};
	__u32 bytes = bpf_xdp_get_buff_len(ctx);
	struct drop_event *event;

	drop_count(&key, bytes);
	if (!sample_take(&key, EVENTS_PER_SECOND))
		return 0;
	event = drop_event_begin(&key, ctx->ingress_ifindex, bytes);
	if (!event)
		return 0;
	if (bytes > EVENT_HEADER_BYTES)
		bytes = EVENT_HEADER_BYTES;
	if (bytes > 0 && bytes <= EVENT_HEADER_BYTES)
		bpf_xdp_load_bytes(ctx, 0, event->packet, bytes);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/*
 * A veth sends back (XDP_TX) only to an end with an xdp program of its own: elsewhere frames stay
 * in its ring, and nobody is woken. What is redirected wakes an end that has GRO, too.
 */
static __always_inline int frame_finish(struct xdp_md *ctx, int rc)
{
	if (rc == VERDICT_SENT)
		return config.xdp_redirect ? bpf_redirect(ctx->ingress_ifindex, 0) : XDP_TX;
	if (rc >= 0)
		return XDP_PASS;
	frame_drop_record(ctx, -rc);
	return XDP_DROP;
}

#endif
