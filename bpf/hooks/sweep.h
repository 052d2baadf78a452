/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Called by the agent: starts the timer, or does a piece of a walk. The walks' programs are to be
 * called until they return SWEEP_DONE.
 */
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
	return bpf_timer_start(&sweep->timer, SWEEP_PERIOD_NS, 0) ? 1 : 0;
}

/* Now, not when the timer fires. */
SEC("syscall")
int sweep_flows(void *context)
{
	return sweep_for_agent(WALK_DEAD, 0);
}

/* After a change of backends, so that UDP need not wait for the next walk. */
SEC("syscall")
int sweep_services(void *context)
{
	return sweep_for_agent(WALK_STALE, 0);
}

SEC("syscall")
int sweep_endpoint(struct sweep_request *request)
{
	__u32 ifindex = request->ifindex;
	int result = sweep_for_agent(WALK_DEVICE, ifindex);

	if (result == SWEEP_DONE)
		bpf_map_delete_elem(&flow_counts, &ifindex);
	return result;
}

#endif
