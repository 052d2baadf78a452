/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath, and what sends it millions of flows: each run makes the next packet in place of the
 * one it was given and hands it to a hook. Only tests load it.
 */
#include "datapath.bpf.c"

enum churn_phase {
	CHURN_OPEN = 0, /* pods: SYN, or a UDP datagram */
	CHURN_ANSWER = 1, /* remotes: SYN ACK, or a UDP datagram */
	CHURN_END = 2, /* pods: FIN or RST */
	CHURN_ENDED = 3, /* remotes: FIN or RST */
	CHURN_LAST = 4, /* pods: ACK */
};

enum churn_limits {
	CHURN_FRAME_BYTES = ETHERNET_BYTES + IPV4_BYTES + TCP_BYTES,
	CHURN_REMOTES = 64,
	CHURN_PORTS = 60000,
	CHURN_REMOTE_FIRST = 0x64400001, /* 100.64.0.1 */
};

/* A lane sends one packet after the other, on one CPU. */
struct churn_lane {
	__u32 next; /* number of the next flow */
	__be32 pod; /* address */
	__u32 port_first; /* of the pod's own ports, host order */
	__u32 failed; /* packets that could not be made */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct churn_lane);
} churn_lanes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} churn_hooks SEC(".maps") = {
	.values =
		{
			[DIRECTION_FROM_CONTAINER] = (void *)&from_container,
			[DIRECTION_FROM_NETDEV] = (void *)&from_netdev,
		},
};

struct churn_frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed, aligned(2)));

/* The same for all packets of a flow, and unlike its neighbours'. */
static __always_inline __u32 churn_dice(__u32 number)
{
	return number * 2654435761U >> 12;
}

static __always_inline bool churn_is_udp(__u32 number)
{
	return churn_dice(number) % 16 == 15;
}

/* What a flow's life is, by its number: not every one is answered, and some are never closed. */
static __always_inline __u32 churn_flags(__u32 number, __u32 phase)
{
	__u32 dice = churn_dice(number), kind = dice % 8;

	if (churn_is_udp(number))
		return phase == CHURN_OPEN || (phase == CHURN_ANSWER && dice % 32 == 15);
	switch (phase) {
	case CHURN_OPEN:
		return TCP_SYN;
	case CHURN_ANSWER:
		return kind < 6 ? TCP_SYN | TCP_ACK : kind == 6 ? TCP_RST | TCP_ACK : 0;
	case CHURN_END:
		return kind < 4 ? TCP_FIN | TCP_ACK : kind == 4 ? TCP_RST : 0;
	case CHURN_ENDED:
		/* One in 128 stays open. */
		return kind < 4 ? TCP_FIN | TCP_ACK : kind == 5 && dice % 128 != 5 ? TCP_RST : 0;
	default:
		return kind < 4 ? TCP_ACK : 0;
	}
}

/* The tuple as the pod has it, and as the remote does, who knows it by the pod's entry. */
static __always_inline bool churn_tuple(const struct churn_lane *lane, __u32 number, bool reply,
					struct flow_key *key)
{
	struct flow *flow;

	__builtin_memset(key, 0, sizeof(*key));
	key->source.words[2] = key->destination.words[2] = bpf_htonl(0xffff);
	key->source.words[3] = lane->pod;
	key->destination.words[3] = bpf_htonl(CHURN_REMOTE_FIRST + number % CHURN_REMOTES);
	key->source_port = bpf_htons(lane->port_first + number / CHURN_REMOTES % (CHURN_PORTS / 2));
	key->destination_port = bpf_htons(443);
	key->protocol = churn_is_udp(number) ? IPPROTO_UDP : IPPROTO_TCP;
	if (!reply)
		return true;
	flow = bpf_map_lookup_elem(&flows, key);
	if (!flow)
		return false;
	key->source = flow->destination;
	key->destination = flow->source;
	key->source_port = flow->destination_port;
	key->destination_port = flow->source_port;
	return true;
}

/* Unrelated ones: half of the closed ports are older than a new flow, as in real life. */
static __always_inline __u32 churn_isn(__u32 number)
{
	return number * 2654435761U;
}

static __always_inline void churn_fill(struct churn_frame *frame, const struct flow_key *key,
				       __u32 number, __u32 flags)
{
	__builtin_memset(frame, 0, sizeof(*frame));
	frame->ethernet.h_proto = bpf_htons(ETHERTYPE_IPV4);
	frame->ip.version = 4;
	frame->ip.ihl = 5;
	frame->ip.ttl = 64;
	frame->ip.protocol = key->protocol;
	frame->ip.tot_len = bpf_htons(IPV4_BYTES + TCP_BYTES);
	frame->ip.saddr = key->source.words[3];
	frame->ip.daddr = key->destination.words[3];
	frame->tcp.source = key->source_port;
	frame->tcp.dest = key->destination_port;
	if (key->protocol == IPPROTO_UDP)
		return;
	/* Both sides begin with the same. */
	frame->tcp.seq = bpf_htonl(churn_isn(number) + !(flags & TCP_SYN));
	frame->tcp.ack_seq = bpf_htonl(churn_isn(number) + 1);
	frame->tcp.doff = 5;
	((__u8 *)&frame->tcp)[13] = flags;
}

static __always_inline int churn_store(struct __sk_buff *skb, struct churn_frame *frame)
{
	struct iphdr ip = frame->ip;
	int room = CHURN_FRAME_BYTES - (int)skb->len;

	frame->ip.check = ipv4_header_checksum(&ip);
	/* An answer to the last packet has put headers in front of what it quotes. */
	if (room && bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, frame, sizeof(*frame), 0);
}

/* cb[0]: lane; cb[1]: enum churn_phase. The device is the pod's or the uplink. */
SEC("tc")
int churn(struct __sk_buff *skb)
{
	__u32 index = skb->cb[0], phase = skb->cb[1];
	struct churn_lane *lane = bpf_map_lookup_elem(&churn_lanes, &index);
	bool reply = phase == CHURN_ANSWER || phase == CHURN_ENDED;
	struct churn_frame frame;
	struct flow_key key;
	__u32 number, flags;

	if (!lane)
		return TC_DROP;
	number = lane->next++;
	flags = churn_flags(number, phase);
	if (!flags || !churn_tuple(lane, number, reply, &key))
		return TC_DROP;
	churn_fill(&frame, &key, number, flags);
	if (churn_store(skb, &frame)) {
		lane->failed++;
		return TC_DROP;
	}
	bpf_tail_call(skb, &churn_hooks, reply ? DIRECTION_FROM_NETDEV : DIRECTION_FROM_CONTAINER);
	return TC_DROP;
}

static long churn_age_flow(void *map, struct flow_key *key, struct flow *flow, __u32 *by)
{
	flow->seen -= *by;
	return 0;
}

/* As if nothing had come for so many seconds. */
SEC("syscall")
int churn_age(__u32 *by)
{
	__u32 age = *by;

	return bpf_for_each_map_elem(&flows, churn_age_flow, &age, 0) < 0;
}

struct churn_census {
	__u32 entries;
	__u32 halves;
};

static long churn_count_flow(void *map, struct flow_key *key, struct flow *flow,
			     struct churn_census *census)
{
	struct scratch *s = scratch_of(SCRATCH_WALK);
	struct flow *pair;

	if (!s)
		return 1;
	census->entries++;
	flow_pair_key(&s->pair_key, key, flow);
	pair = bpf_map_lookup_elem(&flows, &s->pair_key);
	if (!pair || !flow_is_pair(pair, key))
		census->halves++;
	return 0;
}

/* Walks the table: entries, and those whose pair is missing or another flow's. */
SEC("syscall")
int churn_count(struct churn_census *census)
{
	struct churn_census seen = {};

	bpf_for_each_map_elem(&flows, churn_count_flow, &seen, 0);
	*census = seen;
	return 0;
}
