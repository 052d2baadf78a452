/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A small object with every kind of thing that the typed layer handles; only tests load it. */
#include "lib/kernel.h"
#include "lib/types.h"

enum colour {
	COLOUR_RED = 1,
	COLOUR_BLUE = 7,
};

enum wide {
	WIDE_LARGE = 0x100000001ULL,
};

/* One field of every kind. */
struct every {
	__u8 tiny;
	bool flag;
	__be16 port;
	__be32 word;
	__s32 negative;
	__u64 large;
	__s64 deep;
	ip_addr address;
	mac_addr mac;
	char name[6];
	enum colour colour;
	seconds seen;
	__u8 bytes[4];
	__u16 numbers[2];
	struct prefix inner[1];
	union {
		__u32 either;
		__u16 halves[2];
	};
	enum wide wide;
};

struct sample_event {
	struct event_header header;
	enum colour colour;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct flow);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct every);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_key);
	__type(value, struct route);
} trie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, struct drop_key);
	__type(value, struct drop_counter);
} percpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} percpu_array SEC(".maps");

/* A type for which the kernel has no batch calls. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

const volatile struct {
	__u32 mark;
	ip_addr gateway;
} config;

struct request {
	__u32 amount;
	__u32 total;
};

/* Sets the mark, counts the packet and sends an event. */
SEC("tc")
int mark_packet(struct __sk_buff *skb)
{
	__u32 slot = 0;
	__u64 *count = bpf_map_lookup_elem(&array, &slot);
	if (count)
		__sync_fetch_and_add(count, 1);

	struct drop_key key = {.reason = DROP_TOO_BIG};
	struct drop_counter one = {.packets = 1, .bytes = skb->len};
	struct drop_counter *counter = bpf_map_lookup_elem(&percpu_hash, &key);
	if (counter)
		counter->packets++;
	else
		bpf_map_update_elem(&percpu_hash, &key, &one, BPF_ANY);

	struct sample_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->header.type = bpf_core_type_id_local(struct sample_event);
		event->header.cpu = bpf_get_smp_processor_id();
		event->header.time = bpf_ktime_get_ns();
		event->colour = COLOUR_BLUE;
		event->length = skb->len;
		bpf_ringbuf_submit(event, 0);
	}
	skb->mark = config.mark;
	return 0; /* TC_ACT_OK */
}

/* Drops everything: what replaces mark_packet in tests of updates. */
SEC("tc")
int drop_packet(struct __sk_buff *skb)
{
	return 2; /* TC_ACT_SHOT */
}

SEC("xdp")
int pass_frame(struct xdp_md *frame)
{
	return XDP_PASS;
}

SEC("cgroup/bind4")
int allow_bind(struct bpf_sock_addr *address)
{
	return 1;
}

SEC("syscall")
int add_amount(struct request *request)
{
	request->total += request->amount;
	return 5;
}

/* The verifier refuses it: not loaded unless a test asks for it. */
SEC("?tc")
int read_past_end(struct __sk_buff *skb)
{
	return *(__u8 *)(long)(skb->data_end + 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
