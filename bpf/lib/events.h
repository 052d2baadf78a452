/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters and events of drops, and finish(), the only exit of every packet hook. */
#ifndef ISTHMUS_EVENTS_H
#define ISTHMUS_EVENTS_H

#include "maps.h"
#include "packet.h"

/* tc's verdicts (linux/pkt_cls.h); tcx has the same numbers (6.6). */
enum tc_verdict {
	TC_NEXT = -1,
	TC_DROP = 2,
	TC_REDIRECT = 7,
};

/* Whether one more event of this kind may be sent in this second. Racy: a few more do no harm. */
static __always_inline bool sample_take(const struct drop_key *key, __u32 per_second)
{
	seconds now = clock_seconds();
	struct sample *sample = bpf_map_lookup_elem(&samples, key);

	if (!sample) {
		struct sample first = {.second = now, .sent = 1};

		bpf_map_update_elem(&samples, key, &first, BPF_NOEXIST);
		return true;
	}
	if (sample->second != now) {
		sample->second = now;
		sample->sent = 1;
		return true;
	}
	if (sample->sent >= per_second)
		return false;
	sample->sent++;
	return true;
}

/* Everything of an event but the packet's beginning; NULL when nobody reads them. */
static __always_inline struct drop_event *drop_event_begin(const struct drop_key *key,
							   __u32 ifindex, __u32 bytes)
{
	struct drop_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return NULL;
	event->header.type = bpf_core_type_id_local(struct drop_event);
	event->header.cpu = bpf_get_smp_processor_id();
	event->header.time = bpf_ktime_get_ns();
	event->reason = key->reason;
	event->direction = key->direction;
	event->ifindex = ifindex;
	event->length = bytes;
	__builtin_memset(event->packet, 0, sizeof(event->packet));
	return event;
}

static __always_inline void drop_event_emit(const struct packet *pkt, const struct drop_key *key)
{
	__u32 bytes = pkt->skb->len;
	struct drop_event *event = drop_event_begin(key, pkt->skb->ifindex, bytes);

	if (!event)
		return;
	if (bytes > EVENT_HEADER_BYTES)
		bytes = EVENT_HEADER_BYTES;
	if (bytes > 0 && bytes <= EVENT_HEADER_BYTES)
		bpf_skb_load_bytes(pkt->skb, 0, event->packet, bytes);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void drop_count(const struct drop_key *key, __u32 bytes)
{
	struct drop_counter *counter = bpf_map_lookup_elem(&drops, key);
	struct drop_counter first = {.packets = 1, .bytes = bytes};

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	} else {
		bpf_map_update_elem(&drops, key, &first, BPF_NOEXIST);
	}
}

/* Counts a drop and samples an event. Never changes a verdict: a failed lookup is not counted. */
static __noinline int drop_record(struct packet *pkt, __u32 reason)
{
	struct drop_key key = {.reason = reason, .direction = pkt->direction};

	drop_count(&key, pkt->skb->len);
	if (sample_take(&key, EVENTS_PER_SECOND))
		drop_event_emit(pkt, &key);
	return 0;
}

static __always_inline int finish(struct packet *pkt, int rc)
{
	if (rc == VERDICT_REDIRECTED)
		return TC_REDIRECT;
	if (rc == VERDICT_TO_HOST)
		return TC_NEXT;
	if (rc != VERDICT_DROPPED)
		drop_record(pkt, rc < 0 ? -rc : DROP_NO_ROUTE);
	return TC_DROP;
}

#endif
