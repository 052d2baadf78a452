/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of connections (RFC 7857 section 2), in both entries of a flow. Any packet can be
 * forged but those of pods, whose device stands for them. So what a remote says ends a connection
 * only when its numbers fit, and what it says next may prove it alive.
 */
#ifndef ISTHMUS_TRACKING_H
#define ISTHMUS_TRACKING_H

#include "continuity.h"

enum tracking_limits {
	/* Of a reset behind what its receiver acknowledged: a guess hits once in 65,536 times. */
	RESET_WINDOW_BYTES = 65536,
};

/* SCTP has its verification tag where TCP has its sequence number. */
struct tcp_numbers {
	__be32 sequence;
	__be32 acknowledged;
};

static __always_inline bool tcp_numbers_read(const struct packet *pkt, struct tcp_numbers *numbers)
{
	return !bpf_skb_load_bytes(pkt->skb, (pkt->transport & PACKET_OFFSET_MAX) + 4, numbers,
				   sizeof(*numbers));
}

/* Once a second: what a reset of the other side will be measured by. */
static __always_inline void tracking_record(const struct packet *pkt, struct flow *flow)
{
	struct tcp_numbers numbers;

	if (!(pkt->tcp_flags & TCP_ACK) || !tcp_numbers_read(pkt, &numbers))
		return;
	flow->acknowledged = bpf_ntohl(pkt->key.protocol == IPPROTO_SCTP ? numbers.sequence
									 : numbers.acknowledged);
}

/* What a packet tells about the state of its connection, as bits of enum flow_flags. */
static __always_inline __u32 flow_observe(const struct packet *pkt, const struct flow *flow)
{
	bool reply = flow->flags & FLOW_REPLY;
	bool answers = reply != !!(flow->flags & FLOW_INBOUND);
	__u32 bits = 0;

	if (!protocol_has_connections(pkt->key.protocol))
		return answers ? FLOW_SEEN_REPLY : 0;
	if (pkt->tcp_flags & TCP_RST)
		return FLOW_RESET;
	if (pkt->tcp_flags & TCP_SYN && answers)
		bits |= FLOW_SEEN_REPLY;
	if (pkt->tcp_flags & TCP_FIN)
		bits |= reply ? FLOW_FIN_REPLY : FLOW_FIN_ORIGINAL;
	return bits;
}

/*
 * Puts the state of both entries right: what is cleared first, then what is set. The reply entry's
 * flags change by one instruction, so that each change is counted once. Not static, so that the
 * verifier walks it once.
 */
__noinline int flow_change(struct flow *flow, struct flow *pair, __u32 clear, __u32 set)
{
	struct flow *reply, *original;
	__u32 before, after;

	if (!flow)
		return 0;
	reply = flow->flags & FLOW_REPLY ? flow : pair;
	original = flow->flags & FLOW_REPLY ? pair : flow;
	if (original) {
		__sync_fetch_and_and(&original->flags, ~clear);
		__sync_fetch_and_or(&original->flags, set);
	}
	if (!reply)
		return 0;
	if (clear) {
		before = __sync_fetch_and_and(&reply->flags, ~clear);
		after = before & ~clear;
		flow_count_move(flow_device(reply), flow_class_of(before), flow_class_of(after));
	}
	if (set) {
		before = __sync_fetch_and_or(&reply->flags, set);
		after = before | set;
		flow_count_move(flow_device(reply), flow_class_of(before), flow_class_of(after));
	}
	return 0;
}

/* Of SCTP: the tag is what its receiver asked for, or what its receiver uses (flag T). */
static __always_inline bool abort_is_valid(const struct tcp_numbers *numbers,
					   const struct flow *receiver)
{
	__u32 tag = bpf_ntohl(numbers->sequence);

	return tag && (tag == receiver->sequence || tag == receiver->acknowledged);
}

/*
 * Whether a reset is its sender's: a pod is known by its device, a remote by its numbers. One that
 * refuses a connection acknowledges its SYN (RFC 9293 section 3.10.7.3), any other one comes near
 * to where its receiver expects it (section 3.10.7.4, RFC 5961).
 */
static __always_inline bool reset_is_valid(const struct packet *pkt, const struct flow *flow,
					   const struct flow *receiver)
{
	bool refuses = (flow->flags & (FLOW_REPLY | FLOW_INBOUND)) == FLOW_REPLY;
	struct tcp_numbers numbers;

	if (pkt->direction == DIRECTION_FROM_CONTAINER)
		return true;
	if (!receiver || !tcp_numbers_read(pkt, &numbers))
		return false;
	if (pkt->key.protocol == IPPROTO_SCTP)
		return abort_is_valid(&numbers, receiver);
	if (!(flow->flags & FLOW_SEEN_REPLY))
		return refuses && pkt->tcp_flags & TCP_ACK &&
		       bpf_ntohl(numbers.acknowledged) == receiver->sequence;
	return bpf_ntohl(numbers.sequence) - receiver->acknowledged < RESET_WINDOW_BYTES;
}

/* The closing timeout begins now; no entry outlives by that what it would have lived to. */
static __always_inline void flow_begin_closing(const struct flow_key *key, struct flow *flow)
{
	seconds now = clock_seconds();
	seconds seen = flow->seen + flow_timeout(key, flow) - config.timeouts.tcp_closing;

	flow->seen = (__s32)(seen - now) > 0 ? now : seen;
}

static __always_inline void tracking_reset(struct packet *pkt, struct scratch *s, struct flow *flow,
					   struct flow *pair)
{
	bool valid = reset_is_valid(pkt, flow, pair);

	if (!(flow->flags & FLOW_RESET)) {
		flow_begin_closing(&pkt->key, flow);
		if (pair)
			flow_begin_closing(&s->pair_key, pair);
	}
	flow_change(flow, pair, 0, FLOW_RESET | (valid ? FLOW_RESET_VALID : 0));
}

/* A SYN of who opened the former connection opens a new one by the same entries. Not one to a
 * Service: see flow_starts_over(). */
static __always_inline void tracking_reopen(struct packet *pkt, struct scratch *s,
					    struct flow *flow, struct flow *pair)
{
	struct segment segment;

	flow_change(flow, pair,
		    FLOW_SEEN_REPLY | FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY | FLOW_RESET |
			    FLOW_RESET_VALID | FLOW_HAS_TIMESTAMP,
		    0);
	flow->created = clock_seconds();
	flow->sequence = segment_parse(pkt, s, &segment) ? segment.sequence : 0;
	flow->acknowledged = 0;
	if (pair) {
		pair->created = flow->created;
		pair->acknowledged = 0;
	}
}

/* The answer to an INIT: the tags of both sides. Whoever answers knows the opener's. */
static __always_inline void tracking_answered_sctp(const struct packet *pkt, struct flow *flow,
						   struct flow *pair)
{
	struct tcp_numbers numbers;
	struct segment segment;

	if (!pair || !tcp_numbers_read(pkt, &numbers) || !initiate_tag_parse(pkt, &segment) ||
	    bpf_ntohl(numbers.sequence) != pair->sequence)
		return;
	flow->sequence = segment.sequence;
	flow->acknowledged = pair->sequence;
	pair->acknowledged = segment.sequence;
}

/* The answer to a SYN: where each side's numbers begin. */
static __always_inline void tracking_answered(const struct packet *pkt, struct flow *flow,
					      struct flow *pair)
{
	struct tcp_numbers numbers;

	if (pkt->key.protocol == IPPROTO_SCTP) {
		tracking_answered_sctp(pkt, flow, pair);
		return;
	}
	if (!tcp_numbers_read(pkt, &numbers))
		return;
	flow->acknowledged = bpf_ntohl(numbers.acknowledged);
	if (pair)
		pair->acknowledged = bpf_ntohl(numbers.sequence) + 1;
}

/*
 * What else a segment tells of a connection whose answers another node sends: who acknowledges has
 * got one, and after its FIN no other will be seen. Not static, so that the verifier walks it once,
 * and knows one outcome.
 */
__noinline __u32 flow_observe_one_side(__u32 tcp_flags)
{
	__u32 bits = 0;

	if (tcp_flags & TCP_RST)
		return 0;
	if ((tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK)
		bits |= FLOW_SEEN_REPLY;
	if (tcp_flags & TCP_FIN)
		bits |= FLOW_FIN_REPLY;
	return bits;
}

/* Not on the way of established packets: the first answer, FIN, RST, and all that follow these. */
static __noinline int tracking_change(struct packet *pkt, struct flow *flow, __u32 bits)
{
	struct scratch *s = scratch_get();
	bool original = !(flow->flags & FLOW_REPLY);
	bool tcp = pkt->key.protocol == IPPROTO_TCP;
	bool opens = packet_opens(pkt);
	__u32 revived = opens ? 0 : flow->flags & (FLOW_RESET | FLOW_RESET_VALID);
	struct flow *pair;

	if (!s)
		return 0;
	if (tcp && flow->flags & FLOW_ENCAPSULATE)
		bits |= flow_observe_one_side(pkt->tcp_flags);
	flow_pair_key(&s->pair_key, &pkt->key, flow);
	pair = bpf_map_lookup_elem(&flows, &s->pair_key);
	if (opens && original && flow_has_ended(flow)) {
		tracking_reopen(pkt, s, flow, pair);
		return 0;
	}
	if (bits & FLOW_RESET) {
		tracking_reset(pkt, s, flow, pair);
	} else {
		if (protocol_has_connections(pkt->key.protocol) &&
		    bits & ~flow->flags & FLOW_SEEN_REPLY)
			tracking_answered(pkt, flow, pair);
		flow_change(flow, pair, revived | (bits & FLOW_SEEN_REPLY ? FLOW_AWAITED : 0),
			    bits);
	}
	if (tcp && original && pair && flow_is_closing(flow) &&
	    !(pkt->flags & PACKET_LATER_FRAGMENT))
		continuity_record(pkt, flow, pair);
	return 0;
}

/* Whether a packet that tells these bits may change the state of its flow. */
static __always_inline bool tracking_is_needed(const struct flow *flow, __u32 bits)
{
	__u32 watched = FLOW_RESET | FLOW_AWAITED;

	/* Of the opener's packets, also those between a FIN and the end; see continuity_record().
	 */
	if (!(flow->flags & FLOW_REPLY))
		watched |= FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY;
	return bits & ~flow->flags || flow->flags & watched;
}

static __always_inline void tracking_update(struct packet *pkt, struct flow *flow)
{
	__u32 bits = flow_observe(pkt, flow);

	if (tracking_is_needed(flow, bits))
		tracking_change(pkt, flow, bits);
}

#endif
