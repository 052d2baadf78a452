/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last steps of a packet on this node: hop limit, MTU, Ethernet addresses, and the way out. */
#ifndef ISTHMUS_FORWARD_H
#define ISTHMUS_FORWARD_H

#include "answer.h"

enum fib_result {
	FIB_SUCCESS = 0,
	FIB_NO_NEIGHBOUR = 7, /* the next hop is known, its MAC is not yet: the kernel will ask */
	FIB_ASK_MTU = 1, /* as length: asks for the MTU, checks no packet against it (5.12) */
	FIB_AF_INET = 2,
	FIB_AF_INET6 = 10,
};

/* Bytes of the largest IP packet that will be on the wire: a GSO packet is cut to segments. */
static __always_inline __u32 packet_wire_length(const struct packet *pkt)
{
	__u32 segment = pkt->skb->gso_size;

	if (!segment)
		return pkt->length;
	return segment + pkt->transport - ETHERNET_BYTES + pkt->transport_bytes;
}

/* Hop limit and MTU of a packet that is going to be forwarded (RFC 1812, RFC 8200). */
static __always_inline int forward_check(struct packet *pkt, __u32 mtu)
{
	if (pkt->ttl <= 1)
		return answer_time_exceeded(pkt);
	if (packet_wire_length(pkt) > mtu)
		return answer_too_big(pkt, mtu);
	return 0;
}

/* To a pod of this node, straight into its namespace (bpf_redirect_peer, 5.10). */
static __always_inline int forward_to_container(struct packet *pkt, __u32 ifindex,
						const mac_addr *mac)
{
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);

	if (!ethernet)
		return -DROP_REWRITE_FAILED;
	__builtin_memcpy(ethernet->h_dest, mac, sizeof(*mac));
	config_copy(ethernet->h_source, &config.gateway_mac, sizeof(*mac));
	if (bpf_redirect_peer(ifindex, 0) != TC_REDIRECT)
		return -DROP_REWRITE_FAILED;
	return VERDICT_REDIRECTED;
}

/* Out of a device to a known next hop; the kernel resolves and keeps its MAC (5.10). */
static __always_inline int forward_to_next_hop(struct packet *pkt, __u32 ifindex,
					       const ip_addr *next_hop)
{
	struct bpf_redir_neigh neighbour = {};

	if (pkt->family == FAMILY_IPV4) {
		neighbour.nh_family = FIB_AF_INET;
		neighbour.ipv4_nh = next_hop->words[3];
	} else {
		neighbour.nh_family = FIB_AF_INET6;
		__builtin_memcpy(neighbour.ipv6_nh, next_hop, sizeof(*next_hop));
	}
	if (bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0) != TC_REDIRECT)
		return -DROP_REWRITE_FAILED;
	return VERDICT_REDIRECTED;
}

/* Asks the node's routing table for the way to `to`; false when there is none. */
static __noinline bool fib_resolve(struct packet *pkt, const struct flow_key *to, struct flow *way)
{
	struct bpf_fib_lookup fib = {};
	long rc;

	fib.ifindex = pkt->skb->ifindex;
	fib.l4_protocol = to->protocol;
	fib.sport = to->source_port;
	fib.dport = to->destination_port;
	fib.tot_len = FIB_ASK_MTU;
	if (pkt->family == FAMILY_IPV4) {
		fib.family = FIB_AF_INET;
		fib.ipv4_src = to->source.words[3];
		fib.ipv4_dst = to->destination.words[3];
	} else {
		fib.family = FIB_AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &to->source, sizeof(ip_addr));
		__builtin_memcpy(fib.ipv6_dst, &to->destination, sizeof(ip_addr));
	}
	rc = bpf_fib_lookup(pkt->skb, &fib, sizeof(fib), 0);
	if (rc != FIB_SUCCESS && rc != FIB_NO_NEIGHBOUR)
		return false;
	way->ifindex_out = fib.ifindex;
	/* The same field; it still holds the question when the neighbour is not known yet. */
	way->mtu = fib.mtu_result > FIB_ASK_MTU ? fib.mtu_result : config.uplink_mtu;
	if (pkt->family == FAMILY_IPV4) {
		way->next_hop.words[0] = 0;
		way->next_hop.words[1] = 0;
		way->next_hop.words[2] = bpf_htonl(0xffff);
		way->next_hop.words[3] = fib.ipv4_dst;
	} else {
		__builtin_memcpy(&way->next_hop, fib.ipv6_dst, sizeof(ip_addr));
	}
	way->resolved = clock_seconds();
	return true;
}

/* By the node's routing table, untranslated. */
static __always_inline int forward_by_fib(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	int rc;

	if (!s || !fib_resolve(pkt, &pkt->key, &s->flow))
		return answer_no_route(pkt, DROP_NO_ROUTE);
	rc = forward_check(pkt, s->flow.mtu);
	rc = rc ?: packet_decrement_ttl(pkt);
	return rc ?: forward_to_next_hop(pkt, s->flow.ifindex_out, &s->flow.next_hop);
}

static __always_inline int forward_to_endpoint(struct packet *pkt, const struct endpoint *to)
{
	int rc = forward_check(pkt, to->mtu);

	rc = rc ?: packet_decrement_ttl(pkt);
	return rc ?: forward_to_container(pkt, to->ifindex, &to->mac);
}

static __always_inline struct route *route_lookup(const ip_addr *address)
{
	struct route_key key = {.prefix_length = 128, .prefix = *address};

	return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline int forward_to_node(struct packet *pkt, const struct route *route)
{
	int rc = forward_check(pkt, config.uplink_mtu);

	rc = rc ?: packet_decrement_ttl(pkt);
	return rc ?: forward_to_next_hop(pkt, config.uplink_ifindex, &route->next_hop);
}

/* Whether the sender may see addresses of pods: who is outside of an island may not. */
static __always_inline bool forward_shows_inside(const struct packet *pkt)
{
	struct route *route;

	if (!config.island[pkt->family & 1] || address_is_inside(&pkt->key.source))
		return true;
	route = route_lookup(&pkt->key.source);
	return route && route->type == ROUTE_NATIVE;
}

/* To an address that no pod has, or has any more: a connection that still goes there ends at once.
 */
static __always_inline int forward_to_nobody(struct packet *pkt)
{
	bool connected = pkt->key.protocol == IPPROTO_TCP && !(pkt->tcp_flags & TCP_SYN) &&
			 !(pkt->flags & PACKET_LATER_FRAGMENT);

	if (connected && forward_shows_inside(pkt))
		return answer_reset(pkt, DROP_NO_ENDPOINT);
	return answer_unreachable(pkt, DROP_NO_ENDPOINT);
}

/*
 * A destination inside the cluster: never translated, no flow kept, one lookup for a pod of
 * this node and two for a pod of another. Goes on (0) with every other destination.
 */
static __always_inline int forward_inside(struct packet *pkt)
{
	struct endpoint *endpoint;
	struct route *route;

	if (!address_is_inside(&pkt->key.destination))
		return 0;
	endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.destination);
	if (endpoint)
		return forward_to_endpoint(pkt, endpoint);
	route = route_lookup(&pkt->key.destination);
	if (!route || route->type != ROUTE_NODE)
		return forward_to_nobody(pkt);
	/* What came from the wire does not go back to it: the sender's table is stale. */
	if (pkt->direction == DIRECTION_FROM_NETDEV)
		return answer_unreachable(pkt, DROP_NO_ENDPOINT);
	return forward_to_node(pkt, route);
}

#endif
