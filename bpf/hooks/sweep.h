/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Called by the agent: starts the timer, walks the flow table now, or clears it of a pod. */
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

	return sweep ? sweep_walk(sweep) : 1;
}

/* After a change of backends, so that UDP need not wait for the next walk. */
SEC("syscall")
int sweep_services(void *context)
{
	struct walk walk = {};

	return bpf_for_each_map_elem(&flows, sweep_stale, &walk, 0) < 0;
}

SEC("syscall")
int sweep_endpoint(struct sweep_request *request)
{
	__u32 ifindex = request->ifindex;

	return bpf_for_each_map_elem(&flows, sweep_device, &ifindex, 0) < 0;
}

#endif
