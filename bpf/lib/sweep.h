/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Removal of dead flows, in pairs: by a timer, with or without a process alive, in pieces so short
 * that no packet waits for a walk. The agent has other walks made, as things change.
 */
#ifndef ISTHMUS_SWEEP_H
#define ISTHMUS_SWEEP_H

#include "bucket.h"
#include "service.h"

enum sweep_limits {
	SWEEP_TRIES = 64, /* to remove a flow that another CPU is at */
	SWEEP_SLACK = 256, /* flows that may come or go during a walk */
	WALK_STEPS = 65536, /* most of a piece: a step is an element or the end of a list */
	/* What a walk asks of a flow: what is behind lies in one more line of memory. */
	WALKED_FLOW_BYTES = sizeof(struct flow_key) + offsetof(struct flow, created),
	CLOCK_MONOTONIC_ID = 1,
};

/* Between two walks of the timer, and between two of their pieces; and how long one takes. */
#define SWEEP_PERIOD_NS 5000000000ULL
#define WALK_REST_NS	500000ULL
#define WALK_PIECE_NS	50000ULL

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

/* What is left of a pod that is gone: all entries of its device, however young. */
static __always_inline int sweep_of_device(struct scratch *s, const struct flow_key *key,
					   const struct flow *flow, __u32 ifindex)
{
	if (flow->ifindex_in != ifindex && flow->ifindex_out != ifindex)
		return 0;
	if (!flow_is_orphan(s, key, flow))
		return sweep_remove(s, key, flow);
	s->key = *key;
	return flow_delete(&s->key);
}

static __always_inline int sweep_by_kind(struct scratch *s, const struct flow_key *key,
					 const struct flow *flow, const struct walk *walk)
{
	switch (walk->kind) {
	case WALK_DEAD:
		return sweep_entry(s, key, flow, walk->now);
	case WALK_STALE:
		return sweep_is_stale(key, flow) ? sweep_remove(s, key, flow) : 0;
	default:
		return sweep_of_device(s, key, flow, walk->ifindex);
	}
}

static __always_inline void sweep_flow(struct scratch *s, const struct flow_key *key,
				       const struct flow *flow, struct walk *walk)
{
	int removed = sweep_by_kind(s, key, flow, walk);

	walk->walked++;
	walk->removed += removed;
	if (removed || walk->kind != WALK_DEAD || !(flow->flags & FLOW_REPLY))
		return;
	walk->entries += 2;
	sweep_count(flow);
}

static __always_inline void sweep_mapping(struct scratch *s, const struct mapping_key *key,
					  const struct mapping *mapping, struct walk *walk)
{
	walk->walked++;
	if (!mapping_is_idle(mapping, walk->now))
		return;
	s->mapping_key = *key;
	walk->removed += !bpf_map_delete_elem(&mappings, &s->mapping_key);
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

/* --- a walk, piece by piece ------------------------------------------------------- */

static __always_inline void walk_begin(struct walk *walk, __u32 kind, __u32 ifindex)
{
	__u32 scratch = walk->scratch;

	__builtin_memset(walk, 0, sizeof(*walk));
	walk->kind = kind;
	walk->ifindex = ifindex;
	walk->scratch = scratch;
	if (kind == WALK_DEAD)
		bpf_for_each_map_elem(&flow_counts, sweep_forget, NULL, 0);
}

static __always_inline void walk_end(struct walk *walk)
{
	__u32 zero = 0;
	struct sweep *sweep = bpf_map_lookup_elem(&sweeps, &zero);

	if (sweep && walk->kind == WALK_DEAD) {
		bpf_for_each_map_elem(&flow_counts, sweep_settle, NULL, 0);
		sweep_settle_total(walk->entries);
		sweep->walked = walk->walked;
		sweep->removed = walk->removed;
		sweep->removed_total += walk->removed;
		sweep->last = sweep_clock();
	}
	walk->kind = 0;
}

/* A piece ends between two rows of buckets, and so does a table. */
static __always_inline bool walk_is_over(const struct walk *walk, __u32 buckets)
{
	if (!(walk->element & BUCKET_END))
		return false;
	if (walk->bucket >= buckets)
		return true;
	return walk->bucket % BUCKET_ROW == 0 && bpf_ktime_get_ns() - walk->began > WALK_PIECE_NS;
}

static long walk_flow_step(__u32 index, struct walk **context)
{
	const struct bpf_htab *table = (const struct bpf_htab *)&flows;
	struct walk *walk = *context;
	struct scratch *s = scratch_of(walk->scratch);

	if (!s || walk_is_over(walk, table->n_buckets))
		return 1;
	if (walk->element & BUCKET_END)
		bucket_advance(walk, &s->row, table);
	else if (bucket_next(walk, &s->walked, WALKED_FLOW_BYTES))
		sweep_flow(s, &s->walked.key, &s->walked.flow, walk);
	return 0;
}

static long walk_mapping_step(__u32 index, struct walk **context)
{
	const struct bpf_htab *table = (const struct bpf_htab *)&mappings;
	struct walk *walk = *context;
	struct scratch *s = scratch_of(walk->scratch);

	if (!s || walk_is_over(walk, table->n_buckets))
		return 1;
	if (walk->element & BUCKET_END)
		bucket_advance(walk, &s->row, table);
	else if (bucket_next(walk, &s->walked_mapping, sizeof(s->walked_mapping)))
		sweep_mapping(s, &s->walked_mapping.key, &s->walked_mapping.mapping, walk);
	return 0;
}

/* Of a list that does not end, because its elements went meanwhile, the rest is left out. */
static __always_inline void walk_steps(struct walk *walk)
{
	walk->element = BUCKET_END;
	if (walk->mappings)
		bpf_loop(WALK_STEPS, walk_mapping_step, &walk, 0);
	else
		bpf_loop(WALK_STEPS, walk_flow_step, &walk, 0);
}

/* Goes on to the next table. False: there is none. */
static __always_inline bool walk_continues(struct walk *walk)
{
	const struct bpf_htab *table = (const struct bpf_htab *)&flows;
	const struct bpf_htab *second = (const struct bpf_htab *)&mappings;

	if (walk->bucket < (walk->mappings ? second->n_buckets : table->n_buckets))
		return true;
	if (walk->mappings || walk->kind != WALK_DEAD)
		return false;
	walk->mappings = 1;
	walk->bucket = 0;
	return true;
}

/* --- all at once, where the kernel's tables are not as we know them ---------------- */

static long walk_each_flow(void *map, struct flow_key *key, struct flow *flow, struct walk **walk)
{
	struct scratch *s = scratch_of((*walk)->scratch);

	if (!s)
		return 1;
	sweep_flow(s, key, flow, *walk);
	return 0;
}

static long walk_each_mapping(void *map, struct mapping_key *key, struct mapping *mapping,
			      struct walk **walk)
{
	struct scratch *s = scratch_of((*walk)->scratch);

	if (!s)
		return 1;
	sweep_mapping(s, key, mapping, *walk);
	return 0;
}

static __always_inline void walk_all(struct walk *walk)
{
	bpf_for_each_map_elem(&flows, walk_each_flow, &walk, 0);
	if (walk->kind == WALK_DEAD)
		bpf_for_each_map_elem(&mappings, walk_each_mapping, &walk, 0);
}

/* --- who walks -------------------------------------------------------------------- */

/* One piece. True: there is more. */
static __always_inline bool walk_piece(struct walk *walk)
{
	bool more = false;

	walk->began = bpf_ktime_get_ns();
	walk->now = walk->began / 1000000000ULL;
	if (bucket_is_known()) {
		walk_steps(walk);
		more = walk_continues(walk);
	} else {
		walk_all(walk);
	}
	walk->spent += bpf_ktime_get_ns() - walk->began;
	if (!more)
		walk_end(walk);
	return more;
}

static __always_inline struct walk *walk_get(__u32 walker)
{
	return bpf_map_lookup_elem(&walks, &walker);
}

/* The agent's: goes on with what it asked for before, or begins. As its programs return it. */
static __always_inline int sweep_for_agent(__u32 kind, __u32 ifindex)
{
	struct walk *walk = walk_get(WALKER_AGENT);

	if (!walk)
		return SWEEP_FAILED;
	walk->scratch = SCRATCH_WALK;
	if (walk->kind != kind || walk->ifindex != ifindex)
		walk_begin(walk, kind, ifindex);
	return walk_piece(walk) ? SWEEP_MORE : SWEEP_DONE;
}

static int sweep_timer_fired(void *map, __u32 *key, struct sweep *sweep)
{
	struct walk *walk = walk_get(WALKER_TIMER);
	bool more = false;

	if (walk) {
		walk->scratch = SCRATCH_TIMER;
		if (!walk->kind)
			walk_begin(walk, WALK_DEAD, 0);
		more = walk_piece(walk);
	}
	bpf_timer_start(&sweep->timer, more ? WALK_REST_NS : SWEEP_PERIOD_NS, 0);
	return 0;
}

#endif
