/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet of an established flow: its entry says all, and learns from it. */
#ifndef ISTHMUS_ESTABLISHED_H
#define ISTHMUS_ESTABLISHED_H

#include "tracking.h"
#include "tunnel.h"

/* Whether a protocol's mappings are endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1). */
static __always_inline bool mapping_is_independent(__u8 protocol)
{
	return (protocol == IPPROTO_UDP && config.udp_endpoint_independent) ||
	       (protocol == IPPROTO_TCP && config.tcp_endpoint_independent);
}

static __always_inline void mapping_extend(struct mapping *mapping, seconds expires)
{
	if ((__s32)(expires - mapping->expires) > 0)
		mapping->expires = expires;
}

/* Extends a mapping that still says so: its port may have been given to another socket since. */
static __always_inline void mapping_touch(const struct mapping_key *key, const ip_addr *address,
					  __be16 port, seconds expires)
{
	struct mapping *mapping = bpf_map_lookup_elem(&mappings, key);

	if (mapping && address_equals(&mapping->address, address) && mapping->port == port)
		mapping_extend(mapping, expires);
}

/* A mapping lives as long as one of its flows: refreshed by both directions, once a second. */
static __noinline int mapping_refresh(struct packet *pkt, struct flow *flow, seconds now)
{
	bool reply = flow->flags & FLOW_REPLY;
	seconds expires = now + flow_timeout(&pkt->key, flow);
	const ip_addr *inside = reply ? &flow->destination : &pkt->key.source;
	const ip_addr *outside = reply ? &pkt->key.destination : &flow->source;
	__be16 inside_port = reply ? flow->destination_port : pkt->key.source_port;
	__be16 outside_port = reply ? pkt->key.destination_port : flow->source_port;
	struct scratch *s = scratch_get();
	struct mapping_key *key;

	if (!s || !mapping_is_independent(pkt->key.protocol))
		return 0;
	key = &s->mapping_key;
	__builtin_memset(key, 0, sizeof(*key));
	key->protocol = pkt->key.protocol;
	key->side = MAPPING_INSIDE;
	key->address = *inside;
	key->port = inside_port;
	mapping_touch(key, outside, outside_port, expires);
	key->side = MAPPING_OUTSIDE;
	key->address = *outside;
	key->port = outside_port;
	mapping_touch(key, inside, inside_port, expires);
	key->side = MAPPING_CONTACT;
	key->remote = reply ? flow->source : pkt->key.destination;
	__builtin_memset(&s->mapping.address, 0, sizeof(s->mapping.address));
	mapping_touch(key, &s->mapping.address, 0, expires); /* a contact names nobody */
	return 0;
}

/*
 * Whether a packet keeps its flow alive (RFC 4787 REQ-6): from the pod always, from the remote when
 * the pod has ever sent. A reset never does (RFC 7857 section 7.1).
 */
static __always_inline bool flow_is_refreshed(const struct packet *pkt, const struct flow *flow)
{
	__u32 inbound = FLOW_REPLY | FLOW_INBOUND;

	if (pkt->tcp_flags & TCP_RST)
		return false;
	return (flow->flags & (inbound | FLOW_SEEN_REPLY)) != inbound;
}

/* The way out may have changed: asked again once a second and flow, not for every packet. */
static __noinline int flow_refresh(struct packet *pkt, struct flow *flow, seconds now)
{
	struct flow_key to;

	bool refreshed = flow_is_refreshed(pkt, flow);

	if (refreshed) {
		flow->seen = now;
		tracking_record(pkt, flow);
		mapping_refresh(pkt, flow, now);
	}
	if (flow->flags & (FLOW_TO_CONTAINER | FLOW_TO_HOST) ||
	    (!refreshed && flow->resolved == now))
		return 0;
	to = pkt->key;
	to.source = flow->source;
	to.destination = flow->destination;
	to.source_port = flow->source_port;
	to.destination_port = flow->destination_port;
	if (!fib_resolve(pkt, &to, flow))
		return answer_no_route(pkt, DROP_NO_ROUTE);
	return 0;
}

static __always_inline int flow_forward(struct packet *pkt, struct flow *flow)
{
	if (flow->flags & FLOW_TO_CONTAINER)
		return forward_to_container(pkt, flow->ifindex_out, &flow->mac,
					    flow->flags & FLOW_LIMITED);
	if (flow->flags & FLOW_TO_HOST)
		return VERDICT_TO_HOST;
	/* What is to be cut is cut first: its pieces are handed over one by one. */
	if (flow->flags & FLOW_ENCAPSULATE && !pkt->cut) {
		/* Two nodes that disagree would send it to each other again and again. */
		if (pkt->unwrapped)
			return -DROP_NO_DIRECT_BACKEND;
		if (tunnel_wrap(pkt->skb, &flow->destination, pkt->length))
			return -DROP_REWRITE_FAILED;
	}
	return forward_to_next_hop(pkt, flow->ifindex_out, &flow->next_hop);
}

/* Translates and forwards a packet by its entry. */
static __always_inline int flow_apply(struct packet *pkt, struct flow *flow)
{
	seconds now = clock_seconds();
	int rc = 0;

	if (flow->seen != now)
		rc = flow_refresh(pkt, flow, now);
	rc = rc ?: forward_check(pkt, flow->mtu);
	if (rc)
		return rc;
	tracking_update(pkt, flow);
	/* Not atomic: one direction of a flow is on one CPU at a time, or loses a count. */
	flow->packets++;
	flow->bytes += pkt->length;
	rc = packet_decrement_ttl(pkt);
	rc = rc ?: packet_rewrite(pkt, flow);
	if (!rc && flow->shift)
		rc = continuity_apply(pkt, flow);
	return rc ?: flow_forward(pkt, flow);
}

/*
 * The device stands for the pod: a neighbour cannot send into another pod's flow. But when the
 * address has a new owner, what is left of the old one's flow gives way (0).
 */
static __noinline int flow_at_wrong_device(struct packet *pkt, struct flow *flow)
{
	struct endpoint *owner = bpf_map_lookup_elem(&endpoints, &pkt->key.source);
	struct scratch *s = scratch_get();

	if (!s || !owner || owner->ifindex != pkt->skb->ifindex)
		return -DROP_WRONG_DEVICE;
	if (flow_is_orphan(s, &pkt->key, flow))
		return flow_delete(&pkt->key) ? 0 : -DROP_WRONG_DEVICE;
	return flow_remove_by(s, &pkt->key, flow) ? 0 : -DROP_WRONG_DEVICE;
}

/*
 * Whether a connection to a Service that has ended begins anew from the same port. It gets a
 * backend as from any other port: the former one may be none any more.
 */
static __always_inline bool flow_starts_over(const struct packet *pkt, const struct flow *flow)
{
	__u32 chosen = FLOW_REWRITE_DESTINATION | FLOW_ENCAPSULATE;

	return packet_opens(pkt) && !(flow->flags & FLOW_REPLY) && flow->flags & chosen &&
	       flow_has_ended(flow);
}

/* What is left of it gives way (0). */
static __noinline int flow_give_way(struct packet *pkt, struct flow *flow)
{
	struct scratch *s = scratch_get();

	if (s)
		flow_remove_by(s, &pkt->key, flow);
	return 0;
}

/* An established flow ends here. Goes on (0) with a packet that belongs to none. */
static __always_inline int flow_lookup(struct packet *pkt)
{
	struct flow *flow;

	if (pkt->flags & (PACKET_ICMP_ERROR | PACKET_ICMP_OTHER))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	if (!flow)
		return 0;
	if (flow->ifindex_in != pkt->skb->ifindex)
		return flow_at_wrong_device(pkt, flow);
	if (flow_starts_over(pkt, flow))
		return flow_give_way(pkt, flow);
	return flow_apply(pkt, flow);
}

/* The packet that has just begun a flow goes the way every later one of it goes. */
static __always_inline int flow_begin(struct packet *pkt)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &pkt->key);

	if (!flow || flow->ifindex_in != pkt->skb->ifindex)
		return -DROP_NO_FLOW;
	return flow_apply(pkt, flow);
}

#endif
