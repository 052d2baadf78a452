/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets to a mapped port from whom no flow exists yet: from the wire, and from pods of this node.
 */
#ifndef ISTHMUS_MAPPED_H
#define ISTHMUS_MAPPED_H

#include "nat.h"

/* The mapping that a packet is addressed to, when its protocol and port can have one. */
static __always_inline struct mapping *mapped_lookup(struct packet *pkt, struct scratch *s)
{
	struct mapping *mapping;

	if (!mapping_is_independent(pkt->key.protocol) || pkt->flags & PACKET_LATER_FRAGMENT ||
	    !port_is_nat(bpf_ntohs(pkt->key.destination_port)))
		return NULL;
	__builtin_memset(&s->mapping_key, 0, sizeof(s->mapping_key));
	s->reply_key.protocol = pkt->key.protocol;
	mapping = mapping_lookup(s, &pkt->key.destination, pkt->key.destination_port,
				 MAPPING_OUTSIDE);
	/* What is idle is as good as removed. */
	return mapping && !mapping_is_idle(mapping, clock_seconds()) ? mapping : NULL;
}

/*
 * Both entries of a flow that a remote begins: as if the pod had sent first, so that the mapped
 * port is its original direction and what arrives is its reply.
 */
static __noinline int mapped_create(struct packet *pkt, struct scratch *s, struct endpoint *pod)
{
	seconds now = clock_seconds();
	int rc;

	__builtin_memset(&s->flow, 0, sizeof(s->flow));
	__builtin_memset(&s->reply, 0, sizeof(s->reply));
	__builtin_memset(&s->key, 0, sizeof(s->key));
	s->key.source = s->mapping.address;
	s->key.source_port = s->mapping.port;
	s->key.destination = pkt->key.source;
	s->key.destination_port = pkt->key.source_port;
	s->key.protocol = pkt->key.protocol;
	s->flow.source = pkt->key.destination;
	s->flow.source_port = pkt->key.destination_port;
	s->flow.destination = pkt->key.source;
	s->flow.destination_port = pkt->key.source_port;
	s->flow.flags = FLOW_REWRITE_SOURCE | FLOW_INBOUND;
	s->flow.ifindex_in = pod->ifindex;
	s->flow.seen = s->flow.created = now;
	s->reply.source = pkt->key.source;
	s->reply.source_port = pkt->key.source_port;
	s->reply.destination = s->mapping.address;
	s->reply.destination_port = s->mapping.port;
	s->reply.flags =
		FLOW_REPLY | FLOW_REWRITE_DESTINATION | FLOW_INBOUND | endpoint_flow_flags(pod);
	s->reply.ifindex_in = pkt->skb->ifindex;
	s->reply.ifindex_out = pod->ifindex;
	s->reply.mac = pod->mac;
	s->reply.mtu = pod->mtu;
	s->reply.seen = s->reply.created = now;
	s->pair_key = s->key;
	s->pair_key.source = s->flow.source;
	s->pair_key.source_port = s->flow.source_port;
	if (!fib_resolve(pkt, &s->pair_key, &s->flow))
		return -DROP_NO_ROUTE;
	s->reply_key = pkt->key;
	s->refusal = admission_check(flow_device(&s->reply));
	if (s->refusal)
		return port_refuse(s);
	rc = flow_insert(&s->reply_key, &s->reply);
	if (rc)
		return rc == ERROR_EXISTS ? 0 : -DROP_FLOW_TABLE_FULL;
	flow_count_move(flow_device(&s->reply), FLOW_CLASS_NONE, FLOW_CLASS_UNANSWERED);
	rc = flow_insert(&s->key, &s->flow);
	if (!rc)
		return 0;
	flow_cancel(&s->reply_key, &s->reply);
	return rc == ERROR_EXISTS ? -DROP_NO_FLOW : -DROP_FLOW_TABLE_FULL;
}

/* Whether a packet from outside can begin a flow at all: of a connection, only the SYN does. */
static __always_inline bool mapped_can_begin(const struct packet *pkt)
{
	return !protocol_has_connections(pkt->key.protocol) || packet_opens(pkt);
}

/* From the wire: lets in who the filtering allows. Goes on (0) with every other packet. */
static __noinline int mapped_admit(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct mapping *mapping;
	struct endpoint *pod;
	int rc;

	if (!s)
		return 0;
	mapping = mapped_lookup(pkt, s);
	if (!mapping || !mapped_can_begin(pkt))
		return 0;
	s->mapping = *mapping;
	/* With ports, who may come in has a flow already. */
	if (config.filtering == FILTERING_ADDRESS_AND_PORT ||
	    !mapping_admits(s, &pkt->key, &pkt->key.source, pkt->key.source_port))
		return -DROP_FILTERED;
	pod = bpf_map_lookup_elem(&endpoints, &s->mapping.address);
	if (!pod)
		return -DROP_NO_ENDPOINT;
	rc = mapped_create(pkt, s, pod);
	return rc ?: flow_begin(pkt);
}

/* Makes the flow from a pod of this node to another's mapped port; 0 when it stands. */
static __noinline int mapped_connect(struct packet *pkt, struct mapping *mapping)
{
	struct nat_request request = {.owner = pkt->source, .independent = 1};
	int rc = nat_check(pkt);

	if (rc)
		return rc;
	request.destination = mapping->address;
	request.destination_port = mapping->port;
	request.target = bpf_map_lookup_elem(&endpoints, &request.destination);
	if (!request.target)
		return -DROP_NO_ENDPOINT;
	rc = nat_open(pkt, &request);
	return rc < 0 ? nat_refuse(pkt, rc) : 0;
}

/*
 * Goes in when the other pod's filtering lets the sender's outside place in. If not, the new flow
 * goes; the sender's mapping and its contact stay, as they would with a remote that is silent.
 */
static __noinline int mapped_enter(struct packet *pkt, struct scratch *s)
{
	struct flow *flow;

	if (mapping_admits(s, &pkt->key, &s->flow.source, s->flow.source_port))
		return flow_begin(pkt);
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	if (flow)
		flow_remove_by(s, &pkt->key, flow);
	return -DROP_FILTERED;
}

/* From a pod of this node to another's mapped port: out by its own, in by that one (RFC 4787
 * REQ-9). Goes on (0) with every other packet. */
static __always_inline int mapped_hairpin(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct mapping *mapping;
	int rc;

	if (!s || !pkt->source)
		return 0;
	mapping = mapped_lookup(pkt, s);
	if (!mapping)
		return 0;
	rc = mapped_connect(pkt, mapping);
	return rc ?: mapped_enter(pkt, s);
}

#endif
