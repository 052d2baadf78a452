/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Removal of dead flows, in pairs. The agent asks for a walk every few seconds, in its own
 * process context; when it does not, a timer walks in its place, with no process alive.
 */
#ifndef ISTHMUS_SWEEP_H
#define ISTHMUS_SWEEP_H

#include "service.h"

enum sweep_limits {
	SWEEP_PERIOD_SECONDS = 5,
	SWEEP_TAKEOVER_SECONDS = 15, /* without the agent */
	CLOCK_MONOTONIC_ID = 1,
};

/* The coarse clock is not for programs outside the packet path (6.18); this one costs more. */
static __always_inline seconds sweep_clock(void)
{
	return bpf_ktime_get_ns() / 1000000000ULL;
}

/* What one walk saw; on the stack, where the walk's callback may write. */
struct walk {
	__u32 walked;
	__u32 removed;
};

/*
 * A UDP flow to a service's frontend by a backend that serves it no more: nobody would tell its
 * sender, and the next datagram finds another one. Where nobody serves, there is no other.
 */
static __always_inline bool sweep_is_stale(const struct flow_key *key, const struct flow *flow)
{
	struct service_key frontend = {
		.address = key->destination,
		.port = key->destination_port,
		.protocol = key->protocol,
	};
	struct serving_key backend = {
		.address = flow->destination,
		.port = flow->destination_port,
	};
	struct service *service;

	if (key->protocol != IPPROTO_UDP || flow->flags & FLOW_REPLY ||
	    !(flow->flags & FLOW_REWRITE_DESTINATION))
		return false;
	service = bpf_map_lookup_elem(&services, &frontend);
	if (!service || !(service->flags & SERVICE_SERVING))
		return false;
	backend.service_id = service->id;
	return !bpf_map_lookup_elem(&serving, &backend);
}

/* The walk's key belongs to the table: the copy outlives the entry. */
static __always_inline __u32 sweep_remove(struct scratch *s, const struct flow_key *key,
					  const struct flow *flow)
{
	s->key = *key;
	return flow_remove(&s->key, flow, &s->pair_key);
}

static long sweep_flow(void *map, struct flow_key *key, struct flow *flow, struct walk *walk)
{
	seconds now = sweep_clock();
	struct scratch *s = scratch_get();
	struct flow *pair;

	if (!s)
		return 1;
	walk->walked++;
	if (sweep_is_stale(key, flow)) {
		walk->removed += sweep_remove(s, key, flow);
		return 0;
	}
	if (!flow_is_idle(key, flow, now))
		return 0;
	flow_pair_key(&s->reply_key, key, flow);
	pair = bpf_map_lookup_elem(&flows, &s->reply_key);
	if (pair && !flow_is_idle(&s->reply_key, pair, now))
		return 0;
	/* A pair in the same bucket may be walked though it is gone: only what was there counts. */
	walk->removed += sweep_remove(s, key, flow);
	return 0;
}

static long sweep_stale(void *map, struct flow_key *key, struct flow *flow, struct walk *walk)
{
	struct scratch *s = scratch_get();

	if (s && sweep_is_stale(key, flow))
		walk->removed += sweep_remove(s, key, flow);
	return !s;
}

static long sweep_mapping(void *map, struct mapping_key *key, struct mapping *mapping,
			  struct walk *walk)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 1;
	walk->walked++;
	if (!mapping_is_idle(mapping, sweep_clock()))
		return 0;
	s->mapping_key = *key;
	bpf_map_delete_elem(&mappings, &s->mapping_key);
	walk->removed++;
	return 0;
}

/* What is left of a pod that is gone: all entries of its device, however young. */
static long sweep_device(void *map, struct flow_key *key, struct flow *flow, __u32 *ifindex)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 1;
	if (flow->ifindex_in != *ifindex && flow->ifindex_out != *ifindex)
		return 0;
	sweep_remove(s, key, flow);
	return 0;
}

static __always_inline int sweep_walk(struct sweep *sweep)
{
	struct walk walk = {};

	bpf_for_each_map_elem(&flows, sweep_flow, &walk, 0);
	bpf_for_each_map_elem(&mappings, sweep_mapping, &walk, 0);
	sweep->walked = walk.walked;
	sweep->removed = walk.removed;
	sweep->removed_total += walk.removed;
	sweep->last = sweep_clock();
	return 0;
}

static int sweep_timer_fired(void *map, __u32 *key, struct sweep *sweep)
{
	if (sweep_clock() - sweep->last >= SWEEP_TAKEOVER_SECONDS)
		sweep_walk(sweep);
	bpf_timer_start(&sweep->timer, SWEEP_PERIOD_SECONDS * 1000000000ULL, 0);
	return 0;
}

#endif
