/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint-independent mappings (RFC 4787, RFC 5382): a pod's socket has one outside port for all
 * that it talks to, and others may be let in by it. Entries beside the flows, which they outlive
 * by nothing: a mapping is refreshed by its flows and removed when none is left.
 */
#ifndef ISTHMUS_MAPPING_H
#define ISTHMUS_MAPPING_H

#include "established.h"

static __always_inline bool mapping_is_idle(const struct mapping *mapping, seconds now)
{
	return (__s32)(now - mapping->expires) >= 0;
}

static __always_inline struct mapping *mapping_lookup(struct scratch *s, const ip_addr *address,
						      __be16 port, __u8 side)
{
	s->mapping_key.address = *address;
	__builtin_memset(&s->mapping_key.remote, 0, sizeof(ip_addr));
	s->mapping_key.port = port;
	s->mapping_key.protocol = s->reply_key.protocol;
	s->mapping_key.side = side;
	s->mapping_key.remote_port = 0;
	return bpf_map_lookup_elem(&mappings, &s->mapping_key);
}

/* The socket's mapping into s->mapping, when both of its entries stand and agree. */
static __always_inline bool mapping_find(struct scratch *s)
{
	struct mapping *inside, *outside;

	inside =
		mapping_lookup(s, &s->reply.destination, s->reply.destination_port, MAPPING_INSIDE);
	if (!inside || !address_equals(&inside->address, &s->flow.source))
		return false;
	s->mapping = *inside;
	outside = mapping_lookup(s, &s->mapping.address, s->mapping.port, MAPPING_OUTSIDE);
	if (!outside || !address_equals(&outside->address, &s->reply.destination) ||
	    outside->port != s->reply.destination_port)
		return false;
	return true;
}

/* The mapping that was found lives on with the flow that is being made (RFC 4787 REQ-6). */
static __noinline int mapping_renew(struct scratch *s)
{
	seconds expires;

	/* The verifier asks for it. */
	if (!s)
		return 0;
	expires = s->reply.seen + flow_timeout(&s->reply_key, &s->reply);
	s->mapping_key.side = MAPPING_INSIDE;
	s->mapping_key.address = s->reply.destination;
	s->mapping_key.port = s->reply.destination_port;
	mapping_touch(&s->mapping_key, &s->mapping.address, s->mapping.port, expires);
	s->mapping_key.side = MAPPING_OUTSIDE;
	s->mapping_key.address = s->mapping.address;
	s->mapping_key.port = s->mapping.port;
	mapping_touch(&s->mapping_key, &s->reply.destination, s->reply.destination_port, expires);
	return 0;
}

enum mapping_reservation {
	MAPPING_TAKEN = 0, /* the port is another socket's */
	MAPPING_RESERVED = 1,
	MAPPING_FOUND = 2, /* another CPU has just mapped the same socket: s->mapping */
};

/* The socket's own entry decides between two CPUs that map it at once. */
static __noinline int mapping_claim(struct scratch *s, __u16 port)
{
	seconds expires;

	/* The verifier asks for it. */
	if (!s)
		return MAPPING_TAKEN;
	expires = s->mapping.expires;
	s->mapping_key.address = s->reply.destination;
	s->mapping_key.port = s->reply.destination_port;
	s->mapping_key.side = MAPPING_INSIDE;
	s->mapping.address = s->flow.source;
	s->mapping.port = bpf_htons(port);
	if (!bpf_map_update_elem(&mappings, &s->mapping_key, &s->mapping, BPF_NOEXIST))
		return MAPPING_RESERVED;
	if (mapping_find(s)) {
		mapping_lookup(s, &s->flow.source, bpf_htons(port), MAPPING_OUTSIDE);
		bpf_map_delete_elem(&mappings, &s->mapping_key);
		return MAPPING_FOUND;
	}
	/* What is left there of a mapping that is gone; it was read into s->mapping. */
	mapping_lookup(s, &s->reply.destination, s->reply.destination_port, MAPPING_INSIDE);
	s->mapping.address = s->flow.source;
	s->mapping.port = bpf_htons(port);
	s->mapping.expires = expires;
	bpf_map_update_elem(&mappings, &s->mapping_key, &s->mapping, BPF_ANY);
	return MAPPING_RESERVED;
}

/* Reserves an outside port for the socket of the flow being made. */
static __always_inline int mapping_reserve(struct scratch *s, __u16 port)
{
	struct mapping *taken =
		mapping_lookup(s, &s->flow.source, bpf_htons(port), MAPPING_OUTSIDE);

	if (taken && !mapping_is_idle(taken, s->reply.seen))
		return MAPPING_TAKEN;
	if (taken)
		bpf_map_delete_elem(&mappings, &s->mapping_key);
	s->mapping.address = s->reply.destination;
	s->mapping.port = s->reply.destination_port;
	s->mapping.expires = s->reply.seen + flow_timeout(&s->reply_key, &s->reply);
	if (bpf_map_update_elem(&mappings, &s->mapping_key, &s->mapping, BPF_NOEXIST))
		return MAPPING_TAKEN;
	return mapping_claim(s, port);
}

/* Takes back what mapping_reserve() has just put there. */
static __always_inline void mapping_release(struct scratch *s)
{
	bpf_map_delete_elem(&mappings, &s->mapping_key);
	s->mapping_key.address = s->flow.source;
	s->mapping_key.port = s->flow.source_port;
	s->mapping_key.side = MAPPING_OUTSIDE;
	bpf_map_delete_elem(&mappings, &s->mapping_key);
}

/*
 * Remembers that the mapped port has sent to the flow's remote. Where the filtering looks at
 * ports, the flow itself lets its remote in; but a flow to a pod of this node may be refused by
 * that pod's filtering, and still opens the way back.
 */
static __always_inline void mapping_contact(struct scratch *s)
{
	bool ports = config.filtering == FILTERING_ADDRESS_AND_PORT;

	if (config.filtering == FILTERING_NONE || (ports && !(s->flow.flags & FLOW_TO_CONTAINER)))
		return;
	s->mapping_key.address = s->flow.source;
	s->mapping_key.remote = s->reply.source;
	s->mapping_key.port = s->flow.source_port;
	s->mapping_key.protocol = s->reply_key.protocol;
	s->mapping_key.side = MAPPING_CONTACT;
	s->mapping_key.remote_port = ports ? s->reply.source_port : 0;
	__builtin_memset(&s->mapping, 0, sizeof(s->mapping));
	s->mapping.expires = s->reply.seen + flow_timeout(&s->reply_key, &s->reply);
	bpf_map_update_elem(&mappings, &s->mapping_key, &s->mapping, BPF_ANY);
}

/* Whether the remote in `from` may use the mapped port in `to` (RFC 4787 REQ-8). */
static __always_inline bool mapping_admits(struct scratch *s, const struct flow_key *to,
					   const ip_addr *from, __be16 from_port)
{
	bool ports = config.filtering == FILTERING_ADDRESS_AND_PORT;
	struct mapping *contact;

	if (config.filtering == FILTERING_NONE)
		return true;
	s->mapping_key.address = to->destination;
	s->mapping_key.remote = *from;
	s->mapping_key.port = to->destination_port;
	s->mapping_key.protocol = to->protocol;
	s->mapping_key.side = MAPPING_CONTACT;
	s->mapping_key.remote_port = ports ? from_port : 0;
	contact = bpf_map_lookup_elem(&mappings, &s->mapping_key);
	return contact && !mapping_is_idle(contact, clock_seconds());
}

#endif
