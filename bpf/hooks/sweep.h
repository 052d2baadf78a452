/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Called by the agent: starts the timer, walks over flows and mappings, or clears them of a pod. */
#ifndef ISTHMUS_HOOK_SWEEP_H
#define ISTHMUS_HOOK_SWEEP_H

/* Arms the timer with this object's code; called at every start, also on adopted maps. */
SEC("syscall")
int sweep_start(void *context)
{
	__u32 zero = 0;
	struct sweep *sweep = bpf_map_lookup_elem(&sweeps, &zero);

	if (!sweep)
		return 1;
	bpf_timer_init(&sweep->timer, &sweeps, CLOCK_MONOTONIC_ID);
	if (bpf_timer_set_callback(&sweep->timer, sweep_timer_fired))
		return 1;
	return bpf_timer_start(&sweep->timer, SWEEP_PERIOD_SECONDS * 1000000000ULL, 0) ? 1 : 0;
}

SEC("syscall")
int sweep_flows(void *context)
{
	__u32 zero = 0;
	struct sweep *sweep = bpf_map_lookup_elem(&sweeps, &zero);

	return sweep ? sweep_walk(sweep, SCRATCH_WALK) : 1;
}

/* A walk in parts: its begin, every entry of two maps, its end. */
SEC("syscall")
int sweep_begin(void *context)
{
	__u32 zero = 0;
	struct walk *walk = bpf_map_lookup_elem(&walks, &zero);

	if (!walk)
		return 1;
	__builtin_memset(walk, 0, sizeof(*walk));
	walk->scratch = SCRATCH_WALK;
	sweep_begin_walk();
	return 0;
}

/*
 * The kernel goes on until 32 KiB were written, and then to user space: that is a part. Its reader
 * has no use for what is in them.
 */
static __always_inline void sweep_advance(struct bpf_iter__bpf_map_elem *context)
{
	__u64 mark[2] = {};

	bpf_seq_write(context->meta->seq, mark, sizeof(mark));
}

SEC("iter/bpf_map_elem")
int sweep_each_flow(struct bpf_iter__bpf_map_elem *context)
{
	const struct flow_key *key = context->key;
	const struct flow *flow = context->value;
	struct scratch *s = scratch_of(SCRATCH_WALK);
	__u32 zero = 0;
	struct walk *walk = bpf_map_lookup_elem(&walks, &zero);

	if (!key || !flow || !s || !walk)
		return 0;
	sweep_flow_entry(s, key, flow, walk);
	sweep_advance(context);
	return 0;
}

SEC("iter/bpf_map_elem")
int sweep_each_mapping(struct bpf_iter__bpf_map_elem *context)
{
	const struct mapping_key *key = context->key;
	const struct mapping *mapping = context->value;
	struct scratch *s = scratch_of(SCRATCH_WALK);
	__u32 zero = 0;
	struct walk *walk = bpf_map_lookup_elem(&walks, &zero);

	if (!key || !mapping || !s || !walk)
		return 0;
	sweep_mapping_entry(s, key, mapping, walk);
	sweep_advance(context);
	return 0;
}

SEC("syscall")
int sweep_end(void *context)
{
	__u32 zero = 0;
	struct walk *walk = bpf_map_lookup_elem(&walks, &zero);
	struct sweep *sweep = bpf_map_lookup_elem(&sweeps, &zero);

	if (!walk || !sweep)
		return 1;
	sweep_end_walk(sweep, walk);
	return 0;
}

/* After a change of backends, so that UDP need not wait for the next walk. */
SEC("syscall")
int sweep_services(void *context)
{
	return bpf_for_each_map_elem(&flows, sweep_stale, NULL, 0) < 0;
}

SEC("syscall")
int sweep_endpoint(struct sweep_request *request)
{
	__u32 ifindex = request->ifindex;
	long rc = bpf_for_each_map_elem(&flows, sweep_device, &ifindex, 0);

	bpf_map_delete_elem(&flow_counts, &ifindex);
	return rc < 0;
}

#endif
