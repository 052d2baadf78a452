/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Use of a port again while the server still remembers the last connection from it.
 *
 * A server that closed first keeps the connection in TIME_WAIT, and takes a new SYN from the same
 * address and port only when its timestamp, or without timestamps its sequence number, is newer
 * (RFC 6191; Linux tcp_timewait_state_process). Two flows of different pods have unrelated clocks,
 * so a port drawn blindly is refused every second time. So the last timestamp and sequence number
 * that left by a port stay in its closed entry, and a new flow takes a port whose record is older.
 * When there is none, the timestamps of the new flow are shifted to be newer.
 */
#ifndef ISTHMUS_CONTINUITY_H
#define ISTHMUS_CONTINUITY_H

#include "removal.h"

enum tcp_option {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_TIMESTAMP = 8,
	TCP_OPTION_TIMESTAMP_BYTES = 10,
	TCP_OPTIONS_MAX = 40,
};

static __always_inline __u32 clock_milliseconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000ULL;
}

/* Where a walk over the options of a TCP header is. */
struct option_walk {
	__u32 bytes; /* of all options */
	__u32 next; /* offset of the next option */
	__s32 found; /* offset of the timestamp option, or -1 */
};

/* One option; ends the walk (1) with the timestamp, the last option, or one that is malformed. */
static long option_step(__u32 index, struct option_walk *walk)
{
	struct scratch *s = scratch_get();
	__u32 at = walk->next;
	__u8 kind, length;

	if (!s || at + 1 >= walk->bytes || at >= TCP_OPTIONS_MAX - 1)
		return 1;
	kind = s->options[at];
	length = s->options[at + 1];
	if (kind == TCP_OPTION_NOP) {
		walk->next = at + 1;
		return 0;
	}
	if (kind == TCP_OPTION_END || length < 2)
		return 1;
	if (kind == TCP_OPTION_TIMESTAMP && length == TCP_OPTION_TIMESTAMP_BYTES &&
	    at + length <= walk->bytes) {
		walk->found = at;
		return 1;
	}
	walk->next = at + length;
	return 0;
}

/* Offset of the timestamp option in s->options, or -1. Any layout that RFC 9293 allows; the two
 * that Linux sends (SYN: MSS SACK TS, data: NOP NOP TS) take two or three steps. Not static, so
 * that the verifier walks the options once, and not for every way that leads here. */
__noinline int timestamp_search(__u32 bytes)
{
	struct option_walk walk = {.bytes = bytes, .found = -1};

	bpf_loop(TCP_OPTIONS_MAX, option_step, &walk, 0);
	return walk.found;
}

/* An association has its initiate tag where a connection of TCP has its sequence numbers. */
static __always_inline bool initiate_tag_parse(const struct packet *pkt, struct segment *segment)
{
	segment->option = 0;
	segment->timestamp = 0;
	if (!packet_initiate_tag(pkt, &segment->sequence))
		return false;
	segment->sequence = bpf_ntohl(segment->sequence);
	return true;
}

/* Reads a segment's numbers; false when it has no header: a later fragment. */
static __noinline bool segment_parse(struct packet *pkt, struct scratch *s, struct segment *segment)
{
	__u32 transport = pkt->transport & PACKET_OFFSET_MAX;
	__u32 bytes = pkt->transport_bytes - TCP_BYTES;
	__u32 payload = pkt->length + ETHERNET_BYTES - transport - pkt->transport_bytes;
	__u32 value;
	int at;

	if (pkt->key.protocol == IPPROTO_SCTP)
		return initiate_tag_parse(pkt, segment);
	if (pkt->flags & PACKET_LATER_FRAGMENT ||
	    bpf_skb_load_bytes(pkt->skb, transport + 4, &value, sizeof(value)))
		return false;
	segment->sequence = bpf_ntohl(value) + payload + !!(pkt->tcp_flags & TCP_SYN) +
			    !!(pkt->tcp_flags & TCP_FIN);
	segment->option = 0;
	segment->timestamp = 0;
	if (bytes < TCP_OPTION_TIMESTAMP_BYTES || bytes > TCP_OPTIONS_MAX)
		return true;
	if (bpf_skb_load_bytes(pkt->skb, transport + TCP_BYTES, s->options, bytes))
		return false;
	at = timestamp_search(bytes);
	if (at < 0 || at > TCP_OPTIONS_MAX - TCP_OPTION_TIMESTAMP_BYTES)
		return true;
	__builtin_memcpy(&value, s->options + at + 2, sizeof(value));
	segment->timestamp = bpf_ntohl(value);
	segment->option = TCP_BYTES + at;
	return true;
}

/* Keeps the newest numbers that left by a port, from the first FIN or RST of its flow on. */
static __noinline int continuity_record(struct packet *pkt, struct flow *flow, struct flow *reply)
{
	struct scratch *s = scratch_get();
	struct segment segment;

	if (!s || !segment_parse(pkt, s, &segment))
		return 0;
	reply->sequence = segment.sequence;
	reply->clock = clock_milliseconds();
	if (segment.option) {
		reply->timestamp = segment.timestamp + flow->shift;
		__sync_fetch_and_or(&reply->flags, FLOW_HAS_TIMESTAMP);
	}
	return 0;
}

/* Whether a server that remembers `closed` takes a SYN with these numbers (RFC 6191 section 2). */
static __always_inline bool continuity_accepts(const struct flow *closed, const struct segment *syn)
{
	if (syn->option && closed->flags & FLOW_HAS_TIMESTAMP)
		return (__s32)(syn->timestamp - closed->timestamp) > 0;
	return (__s32)(syn->sequence - closed->sequence) > 0;
}

/* How far the new flow's timestamps must be moved to be newer; 0 when that cannot help. */
static __always_inline __u32 continuity_shift(const struct flow *closed, const struct segment *syn)
{
	if (!syn->option || !(closed->flags & FLOW_HAS_TIMESTAMP))
		return 0;
	return closed->timestamp + (clock_milliseconds() - closed->clock) + 1 - syn->timestamp;
}

/*
 * Moves the timestamps of a shifted flow: what the pod sends gets newer, what the server echoes
 * gets back to what the pod sent. The echo counts only with ACK (RFC 7323 section 3.2).
 */
static __noinline int continuity_apply(struct packet *pkt, const struct flow *flow)
{
	bool reply = flow->flags & FLOW_REPLY;
	__u32 transport = pkt->transport & PACKET_OFFSET_MAX;
	struct scratch *s = scratch_get();
	struct segment segment;
	__be32 from, to;
	__u32 offset;
	__u16 difference;

	if (pkt->flags & PACKET_LATER_FRAGMENT)
		return 0;
	if (!s || !segment_parse(pkt, s, &segment))
		return -DROP_REWRITE_FAILED;
	if (!segment.option || (reply && !(pkt->tcp_flags & TCP_ACK)))
		return 0;
	offset = transport + segment.option + (reply ? 6 : 2);
	if (bpf_skb_load_bytes(pkt->skb, offset, &from, sizeof(from)))
		return -DROP_REWRITE_FAILED;
	to = bpf_htonl(bpf_ntohl(from) + (reply ? -flow->shift : flow->shift));
	difference = checksum_fold(checksum_change(0, from, to));
	/* An option may begin at an odd place: its bytes then count swapped (RFC 1071 section 2.B).
	 */
	if (segment.option & 1)
		difference = difference >> 8 | difference << 8;
	if (bpf_l4_csum_replace(pkt->skb, transport + 16, 0, difference, 0) ||
	    bpf_skb_store_bytes(pkt->skb, offset, &to, sizeof(to), 0))
		return -DROP_REWRITE_FAILED;
	return 0;
}

#endif
