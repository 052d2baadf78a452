/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The benchmark's programs: sender, sink, mirror, bare redirects, nothing. Never loaded by the
 * agent. */
#include "lib/kernel.h"

#include <linux/pkt_cls.h>

enum bench_limits {
	FRAME_WORDS = 15, /* the smallest Ethernet frame, without its checksum: 60 bytes */
};

/* Places in a frame with IPv4 without options, in halves of words. */
enum frame_place {
	FRAME_SOURCE_PORT = 17,
	FRAME_DESTINATION_PORT = 18,
	FRAME_UDP_CHECKSUM = 20,
	FRAME_TCP_CHECKSUM = 25,
};

struct bench_config {
	__u32 ifindex; /* where to */
	__u32 frame[FRAME_WORDS]; /* as it is in memory */
	/*
	 * Flows that the frames belong to, beginning with the frame's own ports: 2^source_bits
	 * source ports for each destination port. One flow when 0. The next one is `stride`
	 * further, less than `flows` and without a common divisor: in no order that a table has
	 * them in memory.
	 */
	__u32 flows;
	__u32 source_bits;
	__u32 stride;
	__u32 tcp; /* 1: where the checksum is */
};

const volatile struct bench_config config = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} received SEC(".maps");

/* The number of the flow that the next frame belongs to. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} turns SEC(".maps");

/* RFC 1624: what the ports got larger by, the checksum gets smaller by. */
static __always_inline __u16 checksum_less(__u16 checksum, __u32 more)
{
	__u32 sum = (__u16)~bpf_ntohs(checksum) + more;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return bpf_htons(~sum & 0xffff);
}

/* Makes the frame one of the next flow. */
static __always_inline void choose_flow(__u16 *halves)
{
	__u32 zero = 0, source, destination;
	__u32 *turn = bpf_map_lookup_elem(&turns, &zero);

	if (!turn)
		return;
	source = *turn & ((1 << config.source_bits) - 1);
	destination = *turn >> config.source_bits;
	*turn += config.stride;
	if (*turn >= config.flows)
		*turn -= config.flows;
	halves[FRAME_SOURCE_PORT] = bpf_htons(bpf_ntohs(halves[FRAME_SOURCE_PORT]) + source);
	halves[FRAME_DESTINATION_PORT] =
		bpf_htons(bpf_ntohs(halves[FRAME_DESTINATION_PORT]) + destination);
	if (config.tcp)
		halves[FRAME_TCP_CHECKSUM] =
			checksum_less(halves[FRAME_TCP_CHECKSUM], source + destination);
	else
		halves[FRAME_UDP_CHECKSUM] =
			checksum_less(halves[FRAME_UDP_CHECKSUM], source + destination);
}

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
	if (config.flows)
		choose_flow((__u16 *)words);
	return bpf_redirect(config.ifindex, 0);
}

static __always_inline void count_packet(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&received, &zero);

	if (count)
		(*count)++;
}

/* Counts and drops IPv4. All else passes: without ARP nothing would come. */
SEC("tc")
int sink(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	count_packet();
	return TC_ACT_SHOT;
}

/*
 * Turns IPv4 without options around and sends it back to where it came from. Swapped addresses and
 * ports leave every checksum as it is.
 */
SEC("tc")
int mirror(struct __sk_buff *skb)
{
	__u8 macs[12];
	__be32 addresses[2];
	__be16 ports[2];

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	count_packet();
	if (bpf_skb_load_bytes(skb, 0, macs + 6, 6) || bpf_skb_load_bytes(skb, 6, macs, 6) ||
	    bpf_skb_load_bytes(skb, 26, addresses + 1, 4) ||
	    bpf_skb_load_bytes(skb, 30, addresses, 4) ||
	    bpf_skb_load_bytes(skb, 34, ports + 1, 2) || bpf_skb_load_bytes(skb, 36, ports, 2) ||
	    bpf_skb_store_bytes(skb, 0, macs, 12, 0) ||
	    bpf_skb_store_bytes(skb, 26, addresses, 8, 0) ||
	    bpf_skb_store_bytes(skb, 34, ports, 4, 0))
		return TC_ACT_SHOT;
	return bpf_redirect(config.ifindex, 0);
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
