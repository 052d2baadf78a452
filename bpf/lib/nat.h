/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Creation of translated flows, and the choice of the port they leave from. */
#ifndef ISTHMUS_NAT_H
#define ISTHMUS_NAT_H

#include "established.h"

enum nat_limits {
	NAT_PROBES_FOR_FREE = 4, /* ports to look at for a free one before a closed one will do */
};

enum nat_result {
	NAT_CONFLICT = 1, /* the reply tuple belongs to another flow: the source must change */
	ERROR_EXISTS = -17, /* -EEXIST of a map */
};

/* How the first packet of a flow leaves the node. */
struct nat_request {
	struct endpoint *owner; /* whose port block the source is taken from; NULL keeps the source */
	struct endpoint *target; /* a pod of this node; NULL leaves by the uplink */
	ip_addr destination;
	__be16 destination_port;
	__u16 pad;
};

static __always_inline struct nat_counter *nat_counter_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nat_counters, &zero);
}

/* Inserts the reply entry: the reservation of its tuple. An entry whose flow is dead gives way. */
static __always_inline int nat_reserve(struct scratch *s)
{
	struct flow *taken;
	long rc = bpf_map_update_elem(&flows, &s->reply_key, &s->reply, BPF_NOEXIST);

	if (rc == ERROR_EXISTS) {
		taken = bpf_map_lookup_elem(&flows, &s->reply_key);
		if (taken && !flow_is_idle(&s->reply_key, taken, s->reply.seen))
			return NAT_CONFLICT;
		if (taken)
			flow_remove(&s->reply_key, taken, &s->pair_key);
		rc = bpf_map_update_elem(&flows, &s->reply_key, &s->reply, BPF_NOEXIST);
		if (rc == ERROR_EXISTS)
			return NAT_CONFLICT;
	}
	return rc ? -DROP_FLOW_TABLE_FULL : 0;
}

static __always_inline void nat_set_port(struct scratch *s, __u16 port)
{
	s->flow.source_port = bpf_htons(port);
	s->reply_key.destination_port = bpf_htons(port);
}

/* A taken port: remembered when its flow is closed, by whether the server would accept another. */
static __always_inline void nat_judge(struct scratch *s, __u16 port)
{
	struct flow *taken = bpf_map_lookup_elem(&flows, &s->reply_key);

	if (!taken || !flow_is_closed(taken))
		return;
	if (s->reply_key.protocol == IPPROTO_TCP && !continuity_accepts(taken, &s->syn)) {
		if (!s->worst)
			s->worst = port;
		return;
	}
	if (!s->best)
		s->best = port;
}

/*
 * One candidate port; ends the search (1) with one that nobody holds. After a few of them a
 * closed port that the server will accept is as good, and cheaper than looking on.
 */
static long nat_probe(__u32 index, void *context)
{
	struct scratch *s = scratch_get();
	__u16 port;

	if (!s || !s->port_count)
		return 1;
	port = s->port_first + (s->port_start + index) % s->port_count;
	s->probes = index + 1;
	nat_set_port(s, port);
	s->result = nat_reserve(s);
	if (s->result != NAT_CONFLICT)
		return 1;
	nat_judge(s, port);
	return s->best && index + 1 >= NAT_PROBES_FOR_FREE;
}

/* Takes a closed port over: its record goes, and the old flow's other entry with it. */
static __always_inline int nat_take_over(struct scratch *s, __u16 port)
{
	struct flow *closed;

	nat_set_port(s, port);
	closed = bpf_map_lookup_elem(&flows, &s->reply_key);
	if (closed)
		flow_remove(&s->reply_key, closed, &s->pair_key);
	return nat_reserve(s);
}

/* No record is older than this SYN: the timestamps move, or the server may refuse it once. */
static __always_inline int nat_take_worst(struct scratch *s, struct nat_counter *counter)
{
	struct flow *closed;
	__u32 shift = 0;

	nat_set_port(s, s->worst);
	closed = bpf_map_lookup_elem(&flows, &s->reply_key);
	if (closed)
		shift = continuity_shift(closed, &s->syn);
	s->flow.shift = s->reply.shift = shift;
	if (shift)
		counter->shifted++;
	else
		counter->forced++;
	return nat_take_over(s, s->worst);
}

static __always_inline void nat_count(struct scratch *s, struct nat_counter *counter)
{
	__u32 bucket = 0;

	for (__u32 limit = 1; bucket < NAT_PROBE_BUCKETS - 1 && s->probes > limit; limit *= 2)
		bucket++;
	counter->created++;
	counter->probes[bucket & (NAT_PROBE_BUCKETS - 1)]++;
}

/* Reserves a port of the owner's block, beginning at the packet's own port modulo the block. */
static __always_inline int nat_search(struct scratch *s, const struct endpoint *owner,
				      __be16 source_port)
{
	struct nat_counter *counter = nat_counter_get();

	s->port_first = owner->port_first;
	s->port_count = owner->port_count;
	if (!s->port_count || !counter)
		return -DROP_NO_PORT_BLOCK;
	s->port_start = bpf_ntohs(source_port) % s->port_count;
	s->best = s->worst = 0;
	s->result = NAT_CONFLICT;
	bpf_loop(s->port_count, nat_probe, NULL, 0);
	if (s->result == NAT_CONFLICT && (s->best || s->worst)) {
		counter->reused++;
		s->result = s->best ? nat_take_over(s, s->best) : nat_take_worst(s, counter);
	}
	if (s->result == NAT_CONFLICT) {
		counter->exhausted++;
		return -DROP_PORTS_EXHAUSTED;
	}
	nat_count(s, counter);
	return s->result;
}

/* The way of the first packet's direction into s->flow, and of its answers into s->reply. */
static __always_inline int nat_ways(struct packet *pkt, struct scratch *s,
				    const struct nat_request *request)
{
	struct flow_key to;

	if (request->target) {
		s->flow.flags |= FLOW_TO_CONTAINER;
		s->flow.ifindex_out = request->target->ifindex;
		s->flow.mac = request->target->mac;
		s->flow.mtu = request->target->mtu;
	} else {
		to = pkt->key;
		to.destination = request->destination;
		to.destination_port = request->destination_port;
		if (!fib_resolve(pkt, &to, &s->flow))
			return -DROP_NO_ROUTE;
	}
	s->reply.ifindex_in = s->flow.ifindex_out;
	if (pkt->source) {
		s->reply.flags |= FLOW_TO_CONTAINER;
		s->reply.ifindex_out = pkt->source->ifindex;
		s->reply.mac = pkt->source->mac;
		s->reply.mtu = pkt->source->mtu;
		return 0;
	}
	__builtin_memset(&to, 0, sizeof(to));
	flow_key_reverse(&to, &pkt->key.source, pkt->key.source_port, &pkt->key.destination,
			 pkt->key.destination_port);
	to.protocol = pkt->key.protocol;
	return fib_resolve(pkt, &to, &s->reply) ? 0 : -DROP_NO_ROUTE;
}

/* Both entries but for the translated source, which nat_source() decides. */
static __always_inline void nat_prepare(struct packet *pkt, struct scratch *s,
					const struct nat_request *request)
{
	seconds now = clock_seconds();

	__builtin_memset(&s->flow, 0, sizeof(s->flow));
	__builtin_memset(&s->reply, 0, sizeof(s->reply));
	__builtin_memset(&s->reply_key, 0, sizeof(s->reply_key));
	s->flow.source = pkt->key.source;
	s->flow.source_port = pkt->key.source_port;
	s->flow.destination = request->destination;
	s->flow.destination_port = request->destination_port;
	s->flow.ifindex_in = pkt->skb->ifindex;
	s->flow.seen = s->flow.created = now;
	s->reply.source = pkt->key.destination;
	s->reply.source_port = pkt->key.destination_port;
	s->reply.destination = pkt->key.source;
	s->reply.destination_port = pkt->key.source_port;
	s->reply.flags = FLOW_REPLY;
	s->reply.seen = s->reply.created = now;
	s->reply_key.source = request->destination;
	s->reply_key.source_port = request->destination_port;
	s->reply_key.destination = pkt->key.source;
	s->reply_key.destination_port = pkt->key.source_port;
	s->reply_key.protocol = pkt->key.protocol;
	if (!address_equals(&request->destination, &pkt->key.destination) ||
	    request->destination_port != pkt->key.destination_port) {
		s->flow.flags |= FLOW_REWRITE_DESTINATION;
		s->reply.flags |= FLOW_REWRITE_SOURCE;
	}
}

static __always_inline int nat_source(struct packet *pkt, struct scratch *s,
				      const struct endpoint *owner)
{
	if (!owner)
		return nat_reserve(s);
	s->flow.source = owner->nat_address;
	s->flow.flags |= FLOW_REWRITE_SOURCE;
	s->reply.flags |= FLOW_REWRITE_DESTINATION;
	s->reply_key.destination = owner->nat_address;
	return nat_search(s, owner, pkt->key.source_port);
}

/*
 * Creates the two entries of a flow from its first packet. The reply entry first: it is the
 * reservation, and a flow without it could not be answered.
 */
static __noinline int nat_create(struct packet *pkt, struct nat_request *request)
{
	struct scratch *s = scratch_get();
	int rc;

	if (!s)
		return -DROP_FLOW_TABLE_FULL;
	nat_prepare(pkt, s, request);
	__builtin_memset(&s->syn, 0, sizeof(s->syn));
	if (pkt->key.protocol == IPPROTO_TCP && !segment_parse(pkt, s, &s->syn))
		return -DROP_TRUNCATED;
	rc = nat_ways(pkt, s, request);
	rc = rc ?: nat_source(pkt, s, request->owner);
	if (rc)
		return rc;
	s->key = pkt->key;
	rc = bpf_map_update_elem(&flows, &s->key, &s->flow, BPF_NOEXIST);
	if (!rc)
		return 0;
	/* Another CPU was first with the same packet's twin: its entry stands, ours goes. */
	bpf_map_delete_elem(&flows, &s->reply_key);
	return rc == ERROR_EXISTS ? 0 : -DROP_FLOW_TABLE_FULL;
}

/* Answers a flow that could not be created, so that its sender need not wait. */
static __always_inline int nat_refuse(struct packet *pkt, int rc)
{
	switch (-rc) {
	case DROP_NO_ROUTE:
		return answer_no_route(pkt, DROP_NO_ROUTE);
	case DROP_PORTS_EXHAUSTED:
		return answer_prohibited(pkt, DROP_PORTS_EXHAUSTED);
	default:
		return rc;
	}
}

/* Only these can be translated, and only a packet that can open a flow opens one. */
static __always_inline int nat_check(struct packet *pkt)
{
	switch (pkt->key.protocol) {
	case IPPROTO_TCP:
		if ((pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
			return answer_reset(pkt, DROP_NO_FLOW);
		return 0;
	case IPPROTO_UDP:
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (pkt->icmp_type == ICMP4_ECHO || pkt->icmp_type == ICMP6_ECHO)
			return 0;
		return -DROP_ICMP_UNSUPPORTED;
	default:
		return -DROP_UNSUPPORTED_PROTOCOL;
	}
}

/* Creates the flow and sends its first packet the way every later one goes. */
static __always_inline int nat_translate(struct packet *pkt, struct nat_request *request)
{
	struct flow *flow;
	int rc = nat_check(pkt);

	if (rc)
		return rc;
	rc = nat_create(pkt, request);
	if (rc < 0)
		return nat_refuse(pkt, rc);
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	if (!flow || flow->ifindex_in != pkt->skb->ifindex)
		return -DROP_NO_FLOW;
	return flow_apply(pkt, flow);
}

/* A pod's packet to the world outside the cluster: translated in island mode. */
static __noinline int nat_egress(struct packet *pkt)
{
	struct nat_request request = {
		.owner = pkt->source,
		.destination = pkt->key.destination,
		.destination_port = pkt->key.destination_port,
	};
	struct route *route = route_lookup(&pkt->key.destination);

	if (route && route->type == ROUTE_UNREACHABLE)
		return answer_no_route(pkt, DROP_NO_ROUTE);
	if ((route && route->type == ROUTE_NATIVE) || !config.island[pkt->family & 1])
		return forward_by_fib(pkt);
	return nat_translate(pkt, &request);
}

#endif
