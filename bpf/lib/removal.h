/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Entries into the flow table and out of it. A flow leaves with both of its entries, and only one
 * CPU decides it: between the look at an entry and its removal, another could remove the same flow
 * and put a new one in its place, of which half would then be lost.
 */
#ifndef ISTHMUS_REMOVAL_H
#define ISTHMUS_REMOVAL_H

#include "admission.h"

enum flow_lock_limits {
	FLOW_LOCKS = 4096, /* elements of flow_locks */
};

enum flow_removal {
	REMOVE_DEAD = 1, /* when neither direction has been refreshed for its timeout */
	REMOVE_CLOSED = 2, /* when its connection has ended */
	REMOVE_ALWAYS = 3,
};

/* 0, or the error of the map. */
static __always_inline long flow_insert(const struct flow_key *key, const struct flow *flow)
{
	long rc = bpf_map_update_elem(&flows, key, flow, BPF_NOEXIST);

	if (!rc)
		flow_total_add(1);
	return rc;
}

/* How many there were: 0 or 1. */
static __always_inline int flow_delete(const struct flow_key *key)
{
	if (bpf_map_delete_elem(&flows, key))
		return 0;
	flow_total_add(-1);
	return 1;
}

static __always_inline __u32 flow_lock_index(const struct flow_key *reply_key)
{
	const __u32 *words = (const __u32 *)reply_key;
	__u32 hash = reply_key->protocol;

	for (__u32 i = 0; i < 9; i++)
		hash = (hash ^ words[i]) * 0x9e3779b1;
	return (hash >> 16) % FLOW_LOCKS;
}

/* Never waits: who holds it may be what this program has interrupted. */
static __always_inline __u32 *flow_try_lock(__u32 index)
{
	__u32 *lock = bpf_map_lookup_elem(&flow_locks, &index);

	if (!lock || __sync_val_compare_and_swap(lock, 0, 1))
		return NULL;
	return lock;
}

static __always_inline void flow_unlock(__u32 *lock)
{
	__sync_lock_test_and_set(lock, 0);
}

/* Under the lock of the flow. */
static __always_inline int flow_remove_locked(const struct flow_key *reply_key,
					      struct flow_key *pair_key, __u32 why, seconds now)
{
	struct flow *reply = bpf_map_lookup_elem(&flows, reply_key);
	struct flow *pair;
	int removed = 0;

	if (!reply || (why == REMOVE_CLOSED && !flow_is_closed(reply)) ||
	    (why == REMOVE_DEAD && !flow_is_idle(reply_key, reply, now)))
		return 0;
	flow_pair_key(pair_key, reply_key, reply);
	pair = bpf_map_lookup_elem(&flows, pair_key);
	if (pair && !flow_is_pair(pair, reply_key))
		pair = NULL;
	if (pair && why == REMOVE_DEAD && !flow_is_idle(pair_key, pair, now))
		return 0;
	flow_count_move(flow_device(reply), flow_class_of(reply->flags), FLOW_CLASS_NONE);
	if (pair)
		removed = flow_delete(pair_key);
	return removed + flow_delete(reply_key);
}

/*
 * Removes a flow, if it still is as the caller found it. Returns how many entries went: 0 also when
 * another CPU is at it. `pair_key` is room to work in. Not static, so that the verifier walks it
 * once and not for every caller.
 */
__noinline int flow_remove(const struct flow_key *reply_key, struct flow_key *pair_key, __u32 why,
			   seconds now)
{
	__u32 *lock;
	int removed;

	/* The verifier asks for it. */
	if (!reply_key || !pair_key)
		return 0;
	lock = flow_try_lock(flow_lock_index(reply_key));
	if (!lock)
		return 0;
	removed = flow_remove_locked(reply_key, pair_key, why, now);
	flow_unlock(lock);
	return removed;
}

/* Removes whatever flow an entry is of. Leaves the key of its reply entry in s->key. */
static __always_inline int flow_remove_by(struct scratch *s, const struct flow_key *key,
					  const struct flow *flow)
{
	s->key = *key;
	if (!(flow->flags & FLOW_REPLY))
		flow_pair_key(&s->key, key, flow);
	return flow_remove(&s->key, &s->pair_key, REMOVE_ALWAYS, 0);
}

/* Whether an entry is the half of a flow whose reply entry is lost: that one comes first. */
static __always_inline bool flow_is_orphan(struct scratch *s, const struct flow_key *key,
					   const struct flow *flow)
{
	struct flow *reply;

	if (flow->flags & FLOW_REPLY)
		return false;
	flow_pair_key(&s->pair_key, key, flow);
	reply = bpf_map_lookup_elem(&flows, &s->pair_key);
	return !reply || !flow_is_pair(reply, key);
}

/* Takes back a reply entry that has just been inserted, whose pair could not be. */
static __always_inline void flow_cancel(const struct flow_key *reply_key, const struct flow *reply)
{
	flow_count_move(flow_device(reply), FLOW_CLASS_UNANSWERED, FLOW_CLASS_NONE);
	flow_delete(reply_key);
}

#endif
