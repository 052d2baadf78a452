/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ways of untranslated packets that leave the node. They keep no flow, so that "nothing knows this
 * tuple, and the routing table says this next hop" would be found out for every packet; it is
 * remembered for the rest of the second instead. Each CPU has slots of its own.
 */
#ifndef ISTHMUS_WAY_H
#define ISTHMUS_WAY_H

#include "forward.h"

/* Multiplicative hashing (Knuth, volume 3, section 6.4): the upper bits are the good ones. */
static __always_inline __u32 way_index(const struct flow_key *key)
{
	const __u64 odd = 0x9e3779b97f4a7c15ULL; /* 2^64 over the golden ratio */
	__u32 ports = (__u32)key->source_port << 16 | key->destination_port;
	__u64 hash = key->source.halves[1] ^ key->destination.halves[0];

	hash = (hash ^ ports) * odd;
	hash = ((hash ^ hash >> 32) + key->destination.halves[1]) * odd;
	return hash >> 52 & (WAY_SLOTS - 1);
}

static __always_inline struct way *way_slot(const struct packet *pkt)
{
	__u32 index = way_index(&pkt->key);

	return bpf_map_lookup_elem(&ways, &index);
}

/* Whether the slot is about this packet's tuple, at the device that the source was checked at. */
static __always_inline bool way_is_known(const struct way *way, const struct packet *pkt)
{
	return way->resolved == clock_seconds() && way->ifindex_in == pkt->skb->ifindex &&
	       way->key.source_port == pkt->key.source_port &&
	       way->key.destination_port == pkt->key.destination_port &&
	       way->key.protocol == pkt->key.protocol &&
	       address_equals(&way->key.destination, &pkt->key.destination) &&
	       address_equals(&way->key.source, &pkt->key.source);
}

static __always_inline int way_forward(struct packet *pkt, const struct way *way)
{
	int rc = forward_check(pkt, way->mtu);

	rc = rc ?: packet_decrement_ttl(pkt);
	return rc ?: forward_to_next_hop(pkt, way->ifindex_out, &way->next_hop);
}

static __always_inline void way_set(struct way *way, const struct packet *pkt)
{
	way->key = pkt->key;
	way->ifindex_in = pkt->skb->ifindex;
	way->resolved = clock_seconds();
}

/* By the node's routing table; false when it has no way. */
static __noinline bool way_learn(struct packet *pkt, struct way *way)
{
	struct scratch *s = scratch_get();

	if (!s || !fib_resolve(pkt, &pkt->key, &s->flow))
		return false;
	way->ifindex_out = s->flow.ifindex_out;
	way->next_hop = s->flow.next_hop;
	way->mtu = s->flow.mtu;
	way_set(way, pkt);
	return true;
}

/* To a pod of another node. */
static __always_inline void way_learn_node(const struct packet *pkt, struct way *way,
					   const struct route *route)
{
	way->ifindex_out = config.uplink_ifindex;
	way->next_hop = route->next_hop;
	way->mtu = node_mtu(pkt->skb, &route->next_hop);
	way_set(way, pkt);
}

/* Follows a decision of this second. Goes on (0) when there is none. */
static __always_inline int way_follow(struct packet *pkt)
{
	struct way *way;

	if (pkt->flags & (PACKET_ICMP_ERROR | PACKET_ICMP_OTHER) || packet_is_fragment(pkt))
		return 0;
	way = way_slot(pkt);
	return way && way_is_known(way, pkt) ? way_forward(pkt, way) : 0;
}

/* By the node's routing table, untranslated. */
static __always_inline int way_begin(struct packet *pkt)
{
	struct way *way = way_slot(pkt);

	if (!way || !way_learn(pkt, way))
		return answer_no_route(pkt, DROP_NO_ROUTE);
	return way_forward(pkt, way);
}

#endif
