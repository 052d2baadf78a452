/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may still begin a flow. An established flow is never removed for a new one; so when the table
 * is nearly full, the last room is kept from who fills it: with flows that nobody answers, or with
 * more than a part of all. Counted by the device of a flow's first packet.
 */
#ifndef ISTHMUS_ADMISSION_H
#define ISTHMUS_ADMISSION_H

#include "flow.h"

/* What a flow counts as. */
enum flow_class {
	FLOW_CLASS_NONE = 0, /* does not exist */
	FLOW_CLASS_UNANSWERED = 1,
	FLOW_CLASS_ANSWERED = 2,
	FLOW_CLASS_CLOSED = 3,
};

static __always_inline __u32 flow_class_of(__u32 flags)
{
	__u32 fins = FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY;

	if (flags & FLOW_RESET_VALID || (flags & fins) == fins)
		return FLOW_CLASS_CLOSED;
	return flags & FLOW_SEEN_REPLY ? FLOW_CLASS_ANSWERED : FLOW_CLASS_UNANSWERED;
}

/* Where the first packet of a flow came in, as its reply entry tells. */
static __always_inline __u32 flow_device(const struct flow *reply)
{
	return reply->flags & FLOW_INBOUND ? reply->ifindex_in : reply->ifindex_out;
}

/* Not on the stack, of which there is little. */
static const volatile struct flow_count no_flows = {};

static __always_inline struct flow_count *flow_count_get(__u32 ifindex)
{
	struct flow_count *count = bpf_map_lookup_elem(&flow_counts, &ifindex);

	if (count)
		return count;
	bpf_map_update_elem(&flow_counts, &ifindex, (const void *)&no_flows, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flow_counts, &ifindex);
}

static __always_inline void flow_count_add(struct flow_count *count, __u32 class, __s32 change)
{
	if (class == FLOW_CLASS_CLOSED)
		__sync_fetch_and_add(&count->closed, change);
	if (class == FLOW_CLASS_UNANSWERED || class == FLOW_CLASS_ANSWERED)
		__sync_fetch_and_add(&count->open, change);
	if (class == FLOW_CLASS_UNANSWERED)
		__sync_fetch_and_add(&count->unanswered, change);
}

/* A flow of the device counts as something else from now on. Not static, so that the verifier walks
 * it once and not for every caller. */
__noinline int flow_count_move(__u32 ifindex, __u32 from, __u32 to)
{
	struct flow_count *count;

	if (from == to)
		return 0;
	count = flow_count_get(ifindex);
	if (!count)
		return 0;
	flow_count_add(count, from, -1);
	flow_count_add(count, to, 1);
	return 0;
}

static __always_inline void flow_total_add(__s32 change)
{
	__u32 zero = 0;
	struct flow_total *total = bpf_map_lookup_elem(&flow_totals, &zero);

	if (total)
		__sync_fetch_and_add(&total->entries, change);
}

/* Of entries, in the flow table that is in use: an agent adopts one whatever its size. */
static __always_inline __u32 flow_capacity(void)
{
	return ((struct bpf_map *)&flows)->max_entries;
}

static __always_inline bool admission_is_under_pressure(void)
{
	__u32 zero = 0;
	struct flow_total *total = bpf_map_lookup_elem(&flow_totals, &zero);

	/* Signed: two CPUs may count in any order. */
	return total &&
	       (__s64)(__s32)total->entries * 10 > (__s64)flow_capacity() * PRESSURE_TENTHS;
}

/* Drops a first packet for its sender's own doing. */
__noinline int admission_refuse(__u32 ifindex, __u32 reason)
{
	struct flow_count *count = bpf_map_lookup_elem(&flow_counts, &ifindex);

	if (count)
		__sync_fetch_and_add(&count->refused, 1);
	return -(int)reason;
}

/*
 * Why the device may not begin one more flow, or 0. Under pressure the table only may not grow by
 * it: it may still take the place of a flow of its own that has ended.
 */
__noinline int admission_check(__u32 ifindex)
{
	struct flow_count *count = bpf_map_lookup_elem(&flow_counts, &ifindex);
	bool pod = ifindex != config.uplink_ifindex;
	__s32 open, all;

	if (!count)
		return DROP_NONE;
	open = count->open;
	if (pod && config.flow_limit && open >= (__s32)config.flow_limit)
		return DROP_FLOW_LIMIT;
	if (!admission_is_under_pressure())
		return DROP_NONE;
	all = open + (__s32)count->closed;
	if ((__s32)count->unanswered >= (__s32)config.unanswered_limit ||
	    all >= (__s32)(flow_capacity() / 2 / PRESSURE_SHARE))
		return DROP_FLOW_PRESSURE;
	return DROP_NONE;
}

#endif
