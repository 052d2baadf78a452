/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets to a mapped port from whom no flow exists yet: from the wire, and from pods of this node.
 */
#ifndef ISTHMUS_MAPPED_H
#define ISTHMUS_MAPPED_H

#include "nat.h"

/* The mapping that a packet is addressed to, when its protocol and port can have one. */
static __always_inline struct mapping *mapped_lookup(struct packet *pkt, struct scratch *s)
{
	if (!mapping_is_independent(pkt->key.protocol) || pkt->flags & PACKET_LATER_FRAGMENT ||
	    !port_is_nat(bpf_ntohs(pkt->key.destination_port)))
		return NULL;
	__builtin_memset(&s->mapping_key, 0, sizeof(s->mapping_key));
	s->reply_key.protocol = pkt->key.protocol;
	return mapping_lookup(s, &pkt->key.destination, pkt->key.destination_port, MAPPING_OUTSIDE);
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
	s->flow.flags = FLOW_REWRITE_SOURCE;
	s->flow.ifindex_in = pod->ifindex;
	s->flow.seen = s->flow.created = now;
	s->reply.source = pkt->key.source;
	s->reply.source_port = pkt->key.source_port;
	s->reply.destination = s->mapping.address;
	s->reply.destination_port = s->mapping.port;
	s->reply.flags = FLOW_REPLY | FLOW_REWRITE_DESTINATION | FLOW_TO_CONTAINER;
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
	rc = bpf_map_update_elem(&flows, &s->reply_key, &s->reply, BPF_NOEXIST);
	if (rc)
		return rc == ERROR_EXISTS ? 0 : -DROP_FLOW_TABLE_FULL;
	rc = bpf_map_update_elem(&flows, &s->key, &s->flow, BPF_NOEXIST);
	if (!rc)
		return 0;
	bpf_map_delete_elem(&flows, &s->reply_key);
	return rc == ERROR_EXISTS ? -DROP_NO_FLOW : -DROP_FLOW_TABLE_FULL;
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
	if (!mapping)
		return 0;
	s->mapping = *mapping;
	if (!mapping_admits(s, &pkt->key.destination, pkt->key.destination_port, &pkt->key.source))
		return -DROP_FILTERED;
	pod = bpf_map_lookup_elem(&endpoints, &s->mapping.address);
	if (!pod)
		return -DROP_NO_ENDPOINT;
	rc = mapped_create(pkt, s, pod);
	return rc ?: flow_begin(pkt);
}

/*
 * Who sends opens its own filter, before it is known whether it meets another's (RFC 4787 REQ-8):
 * otherwise two pods of this node that only know each other's outside names would never meet.
 */
static __always_inline void mapped_open(struct packet *pkt, struct scratch *s)
{
	struct mapping *own =
		mapping_lookup(s, &pkt->key.source, pkt->key.source_port, MAPPING_INSIDE);

	if (!own || config.filtering != FILTERING_ADDRESS)
		return;
	s->mapping_key.address = own->address;
	s->mapping_key.remote = pkt->key.destination;
	s->mapping_key.port = own->port;
	s->mapping_key.side = MAPPING_CONTACT;
	__builtin_memset(&s->mapping, 0, sizeof(s->mapping));
	s->mapping.expires = clock_seconds() + config.timeouts.udp_one_way;
	bpf_map_update_elem(&mappings, &s->mapping_key, &s->mapping, BPF_ANY);
}

/* From a pod of this node to another's mapped port: out by its own, in by that one (RFC 4787
 * REQ-9). */
static __noinline int mapped_hairpin(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct nat_request request = {.owner = pkt->source, .independent = 1};
	struct mapping *mapping;

	if (!s || !pkt->source)
		return 0;
	mapping = mapped_lookup(pkt, s);
	if (!mapping)
		return 0;
	request.destination = mapping->address;
	request.destination_port = mapping->port;
	mapped_open(pkt, s);
	if (!mapping_admits(s, &pkt->key.destination, pkt->key.destination_port,
			    &pkt->source->nat_address))
		return -DROP_FILTERED;
	request.target = bpf_map_lookup_elem(&endpoints, &request.destination);
	if (!request.target)
		return -DROP_NO_ENDPOINT;
	return nat_translate(pkt, &request);
}

#endif
