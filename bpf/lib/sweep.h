/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Removal of dead flows, in pairs. The agent walks every few seconds, in its own process context
 * and in parts, between which others get the CPU; when it does not, a timer walks in its place,
 * with no process alive.
 */
#ifndef ISTHMUS_SWEEP_H
#define ISTHMUS_SWEEP_H

#include "service.h"

enum sweep_limits {
	SWEEP_PERIOD_SECONDS = 5,
	SWEEP_TAKEOVER_SECONDS = 15, /* without the agent */
	SWEEP_TRIES = 64, /* to remove a flow that another CPU is at */
	SWEEP_SLACK = 256, /* flows that may come or go during a walk */
	CLOCK_MONOTONIC_ID = 1,
};

/* The coarse clock is not for programs outside the packet path (6.18); this one costs more. */
static __always_inline seconds sweep_clock(void)
{
	return bpf_ktime_get_ns() / 1000000000ULL;
}

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
	    !(flow->flags & (FLOW_REWRITE_DESTINATION | FLOW_ENCAPSULATE)))
		return false;
	service = bpf_map_lookup_elem(&services, &frontend);
	if (!service || !(service->flags & SERVICE_SERVING))
		return false;
	backend.service_id = service->id;
	return !bpf_map_lookup_elem(&serving, &backend);
}

/* Both entries, whatever they are. Another CPU holds a flow's lock for a few look-ups. */
static __always_inline __u32 sweep_remove(struct scratch *s, const struct flow_key *key,
					  const struct flow *flow)
{
	__u32 removed = 0;

	for (__u32 try = 0; try < SWEEP_TRIES && !removed; try++)
		removed = flow_remove_by(s, key, flow);
	return removed;
}

/* Once a flow: its reply entry stands for it. */
static __always_inline void sweep_count(const struct flow *flow)
{
	__u32 ifindex = flow_device(flow);
	struct flow_count *count;

	count = flow_count_get(ifindex);
	if (!count)
		return;
	switch (flow_class_of(flow->flags)) {
	case FLOW_CLASS_CLOSED:
		count->walk_closed++;
		break;
	case FLOW_CLASS_UNANSWERED:
		count->walk_unanswered++;
		count->walk_open++;
		break;
	default:
		count->walk_open++;
	}
}

/* Both entries by the one that reserves the port. Returns how many went. */
static __always_inline int sweep_entry(struct scratch *s, const struct flow_key *key,
				       const struct flow *flow, seconds now)
{
	if (sweep_is_stale(key, flow))
		return sweep_remove(s, key, flow);
	if (!flow_is_idle(key, flow, now))
		return 0;
	/* The walk's key belongs to the table: a copy outlives the entry. */
	s->key = *key;
	if (flow->flags & FLOW_REPLY)
		return flow_remove(&s->key, &s->pair_key, REMOVE_DEAD, now);
	return flow_is_orphan(s, &s->key, flow) ? flow_delete(&s->key) : 0;
}

static __always_inline void sweep_flow_entry(struct scratch *s, const struct flow_key *key,
					     const struct flow *flow, struct walk *walk)
{
	int removed = sweep_entry(s, key, flow, sweep_clock());

	walk->walked++;
	walk->removed += removed;
	if (removed || !(flow->flags & FLOW_REPLY))
		return;
	walk->entries += 2;
	sweep_count(flow);
}

static __always_inline void sweep_mapping_entry(struct scratch *s, const struct mapping_key *key,
						const struct mapping *mapping, struct walk *walk)
{
	walk->walked++;
	if (!mapping_is_idle(mapping, sweep_clock()))
		return;
	s->mapping_key = *key;
	walk->removed += !bpf_map_delete_elem(&mappings, &s->mapping_key);
}

static long sweep_flow(void *map, struct flow_key *key, struct flow *flow, struct walk *walk)
{
	struct scratch *s = scratch_of(walk->scratch);

	if (!s)
		return 1;
	sweep_flow_entry(s, key, flow, walk);
	return 0;
}

/* A flow to a backend that serves no more. */
static long sweep_stale(void *map, struct flow_key *key, struct flow *flow, void *context)
{
	struct scratch *s = scratch_of(SCRATCH_WALK);

	if (s && sweep_is_stale(key, flow))
		sweep_remove(s, key, flow);
	return !s;
}

static long sweep_mapping(void *map, struct mapping_key *key, struct mapping *mapping,
			  struct walk *walk)
{
	struct scratch *s = scratch_of(walk->scratch);

	if (!s)
		return 1;
	sweep_mapping_entry(s, key, mapping, walk);
	return 0;
}

/* What is left of a pod that is gone: all entries of its device, however young. */
static long sweep_device(void *map, struct flow_key *key, struct flow *flow, __u32 *ifindex)
{
	struct scratch *s = scratch_of(SCRATCH_WALK);

	if (!s)
		return 1;
	if (flow->ifindex_in != *ifindex && flow->ifindex_out != *ifindex)
		return 0;
	if (flow_is_orphan(s, key, flow)) {
		s->key = *key;
		flow_delete(&s->key);
		return 0;
	}
	sweep_remove(s, key, flow);
	return 0;
}

static __always_inline bool sweep_differs(__u32 live, __u32 walked)
{
	__u32 difference = live > walked ? live - walked : walked - live;

	return difference > SWEEP_SLACK + walked / 8;
}

/* Puts a device's counts right when they are far from what the walk has seen: flows came and went
 * meanwhile, and what counts them as they change is the more exact. */
static long sweep_settle(void *map, __u32 *ifindex, struct flow_count *count, void *context)
{
	if (sweep_differs(count->open, count->walk_open))
		count->open = count->walk_open;
	if (sweep_differs(count->unanswered, count->walk_unanswered))
		count->unanswered = count->walk_unanswered;
	if (sweep_differs(count->closed, count->walk_closed))
		count->closed = count->walk_closed;
	return 0;
}

static __always_inline void sweep_settle_total(__u32 entries)
{
	__u32 zero = 0;
	struct flow_total *total = bpf_map_lookup_elem(&flow_totals, &zero);

	if (total && sweep_differs(total->entries, entries))
		total->entries = entries;
}

static long sweep_forget(void *map, __u32 *ifindex, struct flow_count *count, void *context)
{
	count->walk_open = count->walk_unanswered = count->walk_closed = 0;
	return 0;
}

static __always_inline void sweep_begin_walk(void)
{
	bpf_for_each_map_elem(&flow_counts, sweep_forget, NULL, 0);
}

static __always_inline void sweep_end_walk(struct sweep *sweep, const struct walk *walk)
{
	bpf_for_each_map_elem(&flow_counts, sweep_settle, NULL, 0);
	sweep_settle_total(walk->entries);
	sweep->walked = walk->walked;
	sweep->removed = walk->removed;
	sweep->removed_total += walk->removed;
	sweep->last = sweep_clock();
}

/* All at once. */
static __always_inline int sweep_walk(struct sweep *sweep, __u32 user)
{
	struct walk walk = {.scratch = user};

	sweep_begin_walk();
	bpf_for_each_map_elem(&flows, sweep_flow, &walk, 0);
	bpf_for_each_map_elem(&mappings, sweep_mapping, &walk, 0);
	sweep_end_walk(sweep, &walk);
	return 0;
}

static int sweep_timer_fired(void *map, __u32 *key, struct sweep *sweep)
{
	if (sweep_clock() - sweep->last >= SWEEP_TAKEOVER_SECONDS)
		sweep_walk(sweep, SCRATCH_TIMER);
	bpf_timer_start(&sweep->timer, SWEEP_PERIOD_SECONDS * 1000000000ULL, 0);
	return 0;
}

#endif
