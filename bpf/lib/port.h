/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The choice of the port that a translated flow leaves from. */
#ifndef ISTHMUS_PORT_H
#define ISTHMUS_PORT_H

#include "mapping.h"

enum port_limits {
	PORT_PROBES_FOR_FREE = 4, /* ports to look at for a free one before a closed one will do */
	PORT_PROBES_REFUSED = 16, /* ports to look at when only a closed one will do */
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

/*
 * Inserts the reply entry: the reservation of its tuple. An entry whose flow is dead gives way;
 * only such a one when the table may not grow.
 */
static __always_inline int port_reserve(struct scratch *s)
{
	long rc = s->refusal ? ERROR_EXISTS : flow_insert(&s->reply_key, &s->reply);
	struct flow *taken;

	if (rc == ERROR_EXISTS) {
		taken = bpf_map_lookup_elem(&flows, &s->reply_key);
		if (!taken || !flow_is_idle(&s->reply_key, taken, s->reply.seen) ||
		    !flow_remove(&s->reply_key, &s->pair_key, REMOVE_DEAD, s->reply.seen))
			return PORT_CONFLICT;
		rc = flow_insert(&s->reply_key, &s->reply);
		if (rc == ERROR_EXISTS)
			return PORT_CONFLICT;
	}
	if (rc)
		return -DROP_FLOW_TABLE_FULL;
	flow_count_move(flow_device(&s->reply), FLOW_CLASS_NONE, FLOW_CLASS_UNANSWERED);
	return 0;
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

/* The port at a place of the row that all blocks of the owner make, host order. */
static __always_inline __u16 port_at(const struct scratch *s, __u32 index)
{
	__u32 size = s->block_size;

	return s->blocks[(index / size) & (ENDPOINT_BLOCKS_MAX - 1)] + index % size;
}

struct port_question {
	__u16 port;
	__u16 owned;
};

static long port_compare(__u32 index, struct port_question *question)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 1;
	question->owned = (__u16)(question->port - s->blocks[index & (ENDPOINT_BLOCKS_MAX - 1)]) <
			  s->block_size;
	return question->owned;
}

/* A socket keeps its mapping, but not the ports that its pod has lost. */
static __always_inline bool port_is_owned(const struct scratch *s, __u16 port)
{
	struct port_question question = {.port = port};

	bpf_loop(s->block_count, port_compare, &question, 0);
	return question.owned;
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
	port = port_at(s, (s->port_start + index) % s->port_count);
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
	port_set(s, port);
	if (!flow_remove(&s->reply_key, &s->pair_key, REMOVE_CLOSED, s->reply.seen))
		return PORT_CONFLICT; /* another CPU was faster */
	s->refusal = 0; /* there is room for what has just gone */
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
	s->result = port_take_over(s, s->worst);
	if (s->result)
		s->flow.shift = s->reply.shift = 0;
	else if (shift)
		counter->shifted++;
	else
		counter->forced++;
	return s->result;
}

static __always_inline void port_count_probes(struct scratch *s, struct nat_counter *counter)
{
	__u32 bucket = 0;

	for (__u32 limit = 1; bucket < NAT_PROBE_BUCKETS - 1 && s->probes > limit; limit *= 2)
		bucket++;
	counter->created++;
	counter->probes[bucket & (NAT_PROBE_BUCKETS - 1)]++;
}

/* The row of ports to search, and where in it the search begins; false when it has none. */
static __always_inline bool port_prepare(struct scratch *s, const struct endpoint *owner,
					 __be16 source_port)
{
	__u32 start = config.random_ports ? bpf_get_prandom_u32() : bpf_ntohs(source_port);

	__builtin_memcpy(s->blocks, owner->blocks, sizeof(s->blocks));
	s->block_size = owner->block_size;
	s->block_count = owner->block_count;
	if (s->block_count > ENDPOINT_BLOCKS_MAX)
		s->block_count = ENDPOINT_BLOCKS_MAX;
	s->port_count = (__u32)s->block_size * s->block_count;
	/* A node without an address of the family has no ports of it. */
	if (!s->port_count || address_is_unspecified(&owner->nat_address))
		return false;
	s->port_start = start % s->port_count;
	return true;
}

/* One search: a port that nobody holds, or else a closed one. */
static __always_inline int port_find(struct scratch *s, struct nat_counter *counter)
{
	__u32 ports = s->port_count;

	/* Others never close. */
	if (s->refusal && !protocol_has_connections(s->reply_key.protocol))
		ports = 0;
	else if (s->refusal && ports > PORT_PROBES_REFUSED)
		ports = PORT_PROBES_REFUSED;
	s->best = s->worst = 0;
	s->probes = 0;
	s->result = PORT_CONFLICT;
	bpf_loop(ports, port_probe, NULL, 0);
	if (s->result != PORT_CONFLICT || !(s->best || s->worst))
		return s->result;
	s->result = s->best ? port_take_over(s, s->best) : port_take_worst(s, counter);
	counter->reused += !s->result;
	return s->result;
}

/* Why there is no port: the admission's reason, or that every one is in use. */
static __always_inline int port_refuse(const struct scratch *s)
{
	if (s->refusal)
		return admission_refuse(flow_device(&s->reply), s->refusal);
	return -DROP_PORTS_EXHAUSTED;
}

/* The port that the socket's mapping has already, towards one more remote. */
static __always_inline int port_map(struct scratch *s)
{
	mapping_renew(s);
	s->reply_key.destination_port = s->flow.source_port = s->mapping.port;
	return port_reserve(s) == PORT_CONFLICT ? port_refuse(s) : 0;
}

/* Nearly all ports are taken: those that were looked at until a free one was found say so. */
static __always_inline bool port_is_scarce(const struct scratch *s)
{
	__u32 limit = s->port_count / 4;

	if (limit > SHORTAGE_NEAR_PROBES)
		limit = SHORTAGE_NEAR_PROBES;
	return s->probes > limit && !s->best && !s->worst;
}

/*
 * Reserves a port of the owner's blocks, all of which are searched as one row. Not static, so that
 * the verifier walks it once and not for every way that leads here.
 */
__noinline int port_search(const struct endpoint *owner, __be16 source_port)
{
	struct nat_counter *counter = port_counter_get();
	struct scratch *s = scratch_get();

	if (!s || !owner)
		return -DROP_NO_PORT_BLOCK;
	if (!counter || !port_prepare(s, owner, source_port))
		return -DROP_NO_PORT_BLOCK;
	if (s->independent && mapping_find(s) && port_is_owned(s, bpf_ntohs(s->mapping.port)))
		return port_map(s);
	s->result = port_find(s, counter);
	/* Another CPU was faster with the closed port that was found. */
	if (s->result == PORT_CONFLICT && (s->best || s->worst))
		s->result = port_find(s, counter);
	if (s->result == PORT_CONFLICT) {
		/* What the admission refuses is no reason for another block. */
		s->shortage_kind = s->refusal ? 0 : SHORTAGE_WAITING;
		return port_refuse(s);
	}
	if (s->result)
		return s->result;
	port_count_probes(s, counter);
	if (port_is_scarce(s))
		s->shortage_kind = SHORTAGE_NEAR;
	return 0;
}

#endif
