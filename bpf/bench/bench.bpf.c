/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The benchmark's programs: sender, sink, bare redirects, nothing. Never loaded by the agent. */
#include "lib/kernel.h"

#include <linux/pkt_cls.h>

enum bench_limits {
	FRAME_WORDS = 15, /* the smallest Ethernet frame, without its checksum: 60 bytes */
};

struct bench_config {
	__u32 ifindex; /* where to */
	__u32 frame[FRAME_WORDS]; /* as it is in memory */
};

const volatile struct bench_config config = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} received SEC(".maps");

/*
 * Sends the frame out of a device, as live frames do: what is redirected is really sent (5.18).
 * Written anew every time, because the frame comes back as the stack has left it.
 */
SEC("xdp")
int generate(struct xdp_md *context)
{
	__u32 *words = (__u32 *)(long)context->data;

	if (words + FRAME_WORDS > (__u32 *)(long)context->data_end)
		return XDP_ABORTED;
	for (int i = 0; i < FRAME_WORDS; i++)
		words[i] = config.frame[i];
	return bpf_redirect(config.ifindex, 0);
}

/* Counts and drops IPv4. All else passes: without ARP nothing would come. */
SEC("tc")
int sink(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *count;

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	count = bpf_map_lookup_elem(&received, &zero);
	if (count)
		(*count)++;
	return TC_ACT_SHOT;
}

/* Straight into the other namespace of a veth: the least that any program for pods does. */
SEC("tc")
int redirect_peer(struct __sk_buff *skb)
{
	return bpf_redirect_peer(config.ifindex, 0);
}

SEC("tc")
int redirect_out(struct __sk_buff *skb)
{
	return bpf_redirect(config.ifindex, 0);
}

/* What running any program costs. */
SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
