/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The choice of the port that a translated flow leaves from. */
#ifndef ISTHMUS_PORT_H
#define ISTHMUS_PORT_H

#include "mapping.h"

enum port_limits {
	PORT_PROBES_FOR_FREE = 4, /* ports to look at for a free one before a closed one will do */
};

enum port_result {
	PORT_CONFLICT = 1, /* the reply tuple belongs to another flow: the source must change */
	ERROR_EXISTS = -17, /* -EEXIST of a map */
};

static __always_inline struct nat_counter *port_counter_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nat_counters, &zero);
}

/* Inserts the reply entry: the reservation of its tuple. An entry whose flow is dead gives way. */
static __always_inline int port_reserve(struct scratch *s)
{
	struct flow *taken;
	long rc = bpf_map_update_elem(&flows, &s->reply_key, &s->reply, BPF_NOEXIST);

	if (rc == ERROR_EXISTS) {
		taken = bpf_map_lookup_elem(&flows, &s->reply_key);
		if (taken && !flow_is_idle(&s->reply_key, taken, s->reply.seen))
			return PORT_CONFLICT;
		if (taken)
			flow_remove(&s->reply_key, taken, &s->pair_key);
		rc = bpf_map_update_elem(&flows, &s->reply_key, &s->reply, BPF_NOEXIST);
		if (rc == ERROR_EXISTS)
			return PORT_CONFLICT;
	}
	return rc ? -DROP_FLOW_TABLE_FULL : 0;
}

static __always_inline void port_set(struct scratch *s, __u16 port)
{
	s->flow.source_port = bpf_htons(port);
	s->reply_key.destination_port = bpf_htons(port);
}

/* A taken port: remembered when its flow is closed, by whether the server would accept another. */
static __always_inline void port_judge(struct scratch *s, __u16 port)
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

/* A port of an endpoint-independent mapping is one pod's alone, towards every remote. */
static __always_inline long port_probe_independent(struct scratch *s, __u16 port)
{
	int reserved = mapping_reserve(s, port);

	if (reserved == MAPPING_TAKEN)
		return 0;
	if (reserved == MAPPING_FOUND)
		port_set(s, bpf_ntohs(s->mapping.port));
	s->result = port_reserve(s);
	if (reserved == MAPPING_FOUND)
		return 1;
	if (s->result == PORT_CONFLICT)
		mapping_release(s);
	return s->result != PORT_CONFLICT;
}

/*
 * One candidate port; ends the search (1) with one that nobody holds. After a few of them a
 * closed port that the server will accept is as good, and cheaper than looking on.
 */
static long port_probe(__u32 index, void *context)
{
	struct scratch *s = scratch_get();
	__u16 port;

	if (!s || !s->port_count)
		return 1;
	port = s->port_first + (s->port_start + index) % s->port_count;
	s->probes = index + 1;
	port_set(s, port);
	if (s->independent)
		return port_probe_independent(s, port);
	s->result = port_reserve(s);
	if (s->result != PORT_CONFLICT)
		return 1;
	port_judge(s, port);
	return s->best && index + 1 >= PORT_PROBES_FOR_FREE;
}

/* Takes a closed port over: its record goes, and the old flow's other entry with it. */
static __always_inline int port_take_over(struct scratch *s, __u16 port)
{
	struct flow *closed;

	port_set(s, port);
	closed = bpf_map_lookup_elem(&flows, &s->reply_key);
	if (closed)
		flow_remove(&s->reply_key, closed, &s->pair_key);
	return port_reserve(s);
}

/* No record is older than this SYN: the timestamps move, or the server may refuse it once. */
static __always_inline int port_take_worst(struct scratch *s, struct nat_counter *counter)
{
	struct flow *closed;
	__u32 shift = 0;

	port_set(s, s->worst);
	closed = bpf_map_lookup_elem(&flows, &s->reply_key);
	if (closed)
		shift = continuity_shift(closed, &s->syn);
	s->flow.shift = s->reply.shift = shift;
	if (shift)
		counter->shifted++;
	else
		counter->forced++;
	return port_take_over(s, s->worst);
}

static __always_inline void port_count_probes(struct scratch *s, struct nat_counter *counter)
{
	__u32 bucket = 0;

	for (__u32 limit = 1; bucket < NAT_PROBE_BUCKETS - 1 && s->probes > limit; limit *= 2)
		bucket++;
	counter->created++;
	counter->probes[bucket & (NAT_PROBE_BUCKETS - 1)]++;
}

/* Reserves a port of the owner's block, beginning at the packet's own port modulo the block. */
static __always_inline int port_search(struct scratch *s, const struct endpoint *owner,
				       __be16 source_port)
{
	struct nat_counter *counter = port_counter_get();

	s->port_first = owner->port_first;
	s->port_count = owner->port_count;
	/* A node without an address of the family has no ports of it. */
	if (!s->port_count || address_is_unspecified(&owner->nat_address) || !counter)
		return -DROP_NO_PORT_BLOCK;
	s->port_start = bpf_ntohs(source_port) % s->port_count;
	s->best = s->worst = 0;
	s->result = PORT_CONFLICT;
	if (s->independent && mapping_find(s)) {
		mapping_renew(s);
		s->reply_key.destination_port = s->flow.source_port = s->mapping.port;
		return port_reserve(s) == PORT_CONFLICT ? -DROP_PORTS_EXHAUSTED : 0;
	}
	bpf_loop(s->port_count, port_probe, NULL, 0);
	if (s->result == PORT_CONFLICT && (s->best || s->worst)) {
		counter->reused++;
		s->result = s->best ? port_take_over(s, s->best) : port_take_worst(s, counter);
	}
	if (s->result == PORT_CONFLICT) {
		counter->exhausted++;
		return -DROP_PORTS_EXHAUSTED;
	}
	port_count_probes(s, counter);
	return s->result;
}

#endif
