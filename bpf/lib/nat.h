/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Creation of translated flows. */
#ifndef ISTHMUS_NAT_H
#define ISTHMUS_NAT_H

#include "port.h"
#include "shortage.h"
#include "way.h"

enum nat_limits {
	NAT_HOST_MTU = 65535, /* beside 0, the host's own: nothing is too large for it */
};

/* How the first packet of a flow leaves the node. */
struct nat_request {
	struct endpoint
		*owner; /* whose port block the source is taken from; NULL keeps the source */
	struct endpoint *target; /* a pod of this node; NULL leaves by the uplink */
	ip_addr destination;
	__be16 destination_port;
	__u8 independent; /* 1: by an endpoint-independent mapping of the owner */
	__u8 encapsulate; /* 1: unchanged, inside a packet to the destination, a pod elsewhere */
};

/* The way of the first packet's direction into s->flow, and of its answers into s->reply. */
static __always_inline int nat_ways(struct packet *pkt, struct scratch *s,
				    const struct nat_request *request)
{
	struct flow_key *to = &s->pair_key; /* the stack has no room for it */

	if (request->target) {
		/* The node itself has no device here: 0, and so has what it answers. Without
		 * branches, each of which the verifier would follow to the end of the packet. */
		__u32 host = request->target->flags & ENDPOINT_HOST;

		s->flow.flags |=
			host * FLOW_TO_HOST + (1 - host) * endpoint_flow_flags(request->target);
		s->flow.ifindex_out = request->target->ifindex;
		s->flow.mac = request->target->mac;
		s->flow.mtu = request->target->mtu + host * NAT_HOST_MTU;
	} else {
		*to = pkt->key;
		to->destination = request->destination;
		to->destination_port = request->destination_port;
		if (!fib_resolve(pkt, to, &s->flow))
			return -DROP_NO_ROUTE;
	}
	s->reply.ifindex_in = s->flow.ifindex_out;
	if (pkt->source) {
		s->reply.flags |= endpoint_flow_flags(pkt->source);
		s->reply.ifindex_out = pkt->source->ifindex;
		s->reply.mac = pkt->source->mac;
		s->reply.mtu = pkt->source->mtu;
		return 0;
	}
	__builtin_memset(to, 0, sizeof(*to));
	flow_key_reverse(to, &pkt->key.source, pkt->key.source_port, &pkt->key.destination,
			 pkt->key.destination_port);
	to->protocol = pkt->key.protocol;
	return fib_resolve(pkt, to, &s->reply) ? 0 : -DROP_NO_ROUTE;
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
	if (request->encapsulate) {
		s->flow.flags |= FLOW_ENCAPSULATE;
		if (pkt->key.protocol == IPPROTO_TCP)
			s->flow.flags |= FLOW_AWAITED;
	} else if (!address_equals(&request->destination, &pkt->key.destination) ||
		   request->destination_port != pkt->key.destination_port) {
		s->flow.flags |= FLOW_REWRITE_DESTINATION;
		s->reply.flags |= FLOW_REWRITE_SOURCE;
	}
}

static __always_inline int nat_source(struct packet *pkt, struct scratch *s,
				      const struct endpoint *owner)
{
	if (!owner)
		return s->refusal ? port_refuse(s) : port_reserve(s);
	s->flow.source = owner->nat_address;
	s->flow.flags |= FLOW_REWRITE_SOURCE;
	s->reply.flags |= FLOW_REWRITE_DESTINATION;
	s->reply_key.destination = owner->nat_address;
	return port_search(owner, pkt->key.source_port);
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
	s->independent = request->independent;
	s->shortage_kind = 0;
	__builtin_memset(&s->syn, 0, sizeof(s->syn));
	if (protocol_has_connections(pkt->key.protocol) && !segment_parse(pkt, s, &s->syn))
		return -DROP_TRUNCATED;
	s->flow.sequence = s->syn.sequence;
	rc = nat_ways(pkt, s, request);
	if (rc)
		return rc;
	s->refusal = admission_check(flow_device(&s->reply));
	rc = s->refusal == DROP_FLOW_LIMIT ? port_refuse(s) : nat_source(pkt, s, request->owner);
	if (rc)
		return rc;
	if (s->independent)
		mapping_contact(s);
	s->key = pkt->key;
	rc = flow_insert(&s->key, &s->flow);
	if (!rc)
		return 0;
	/* Another CPU was first with the same packet's twin: its entry stands, ours goes. */
	flow_cancel(&s->reply_key, &s->reply);
	return rc == ERROR_EXISTS ? 0 : -DROP_FLOW_TABLE_FULL;
}

/* Creates a flow, and sees to it that its owner has ports for others, too. */
static __always_inline int nat_open(struct packet *pkt, struct nat_request *request)
{
	int rc = nat_create(pkt, request);

	return request->owner ? shortage_settle(request->owner, rc) : rc;
}

/* Answers a flow that could not be created, so that its sender need not wait. Who is outside is
 * told nothing of how full the node is. */
static __always_inline int nat_refuse(struct packet *pkt, int rc)
{
	switch (-rc) {
	case DROP_NO_ROUTE:
		return answer_no_route(pkt, DROP_NO_ROUTE);
	case DROP_PORTS_EXHAUSTED:
		return answer_prohibited(pkt, DROP_PORTS_EXHAUSTED);
	case DROP_FLOW_LIMIT:
	case DROP_FLOW_PRESSURE:
	case DROP_FLOW_TABLE_FULL:
		return pkt->source ? answer_prohibited(pkt, -rc) : rc;
	default:
		return rc;
	}
}

/* Only these can be translated, and only a packet that can open a flow opens one. */
static __always_inline int nat_check(struct packet *pkt)
{
	switch (pkt->key.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_SCTP:
		if (!packet_opens(pkt))
			return answer_reset(pkt, DROP_NO_FLOW);
		return 0;
	case IPPROTO_UDP:
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (pkt->icmp_type == (pkt->family == FAMILY_IPV4 ? ICMP4_ECHO : ICMP6_ECHO))
			return 0;
		if (pkt->flags & PACKET_ICMP_ERROR)
			return -DROP_ICMP_ERROR_NO_FLOW;
		return -DROP_ICMP_UNSUPPORTED;
	default:
		return -DROP_UNSUPPORTED_PROTOCOL;
	}
}

/* Creates the flow and sends its first packet the way every later one goes. */
static __always_inline int nat_translate(struct packet *pkt, struct nat_request *request)
{
	int rc = nat_check(pkt);

	if (rc)
		return rc;
	rc = nat_open(pkt, request);
	if (rc < 0)
		return nat_refuse(pkt, rc);
	return flow_begin(pkt);
}

/* Out of the node by the pod's own address. How that of a chained one leaves, the host's stack
 * knows. */
static __always_inline int nat_leave_untranslated(struct packet *pkt)
{
	bool chained = pkt->source && pkt->source->flags & ENDPOINT_CHAINED;

	return chained ? VERDICT_TO_HOST : way_begin(pkt);
}

/* A pod's packet to the world outside the cluster: translated in island mode. */
static __noinline int nat_egress(struct packet *pkt)
{
	struct nat_request request = {
		.owner = pkt->source,
		.destination = pkt->key.destination,
		.destination_port = pkt->key.destination_port,
		.independent = mapping_is_independent(pkt->key.protocol),
	};
	struct route *route = route_lookup(&pkt->key.destination);

	if (route && route->type == ROUTE_UNREACHABLE)
		return answer_no_route(pkt, DROP_NO_ROUTE);
	if ((route && route->type == ROUTE_NATIVE) || !config.island[pkt->family & 1])
		return nat_leave_untranslated(pkt);
	return nat_translate(pkt, &request);
}

#endif
