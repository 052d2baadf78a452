/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments of translated datagrams. When the first one comes first, its ports serve the later
 * ones. When a later one comes first, the whole datagram takes the detour that restores the
 * order. One insertion that only one fragment can win decides which, on any number of CPUs.
 */
#ifndef ISTHMUS_FRAGMENT_H
#define ISTHMUS_FRAGMENT_H

#include "detour.h"

/* Milliseconds for which an entry stands. */
enum fragment_life {
	FRAGMENT_LIFE_OPEN = 2000, /* not all of the datagram was seen */
	FRAGMENT_LIFE_DETOUR = 1000, /* as long as the namespace waits for the rest */
	FRAGMENT_LIFE_COMPLETE = 100, /* for duplicates; the identification may come again soon */
};

static __always_inline __u32 fragment_clock(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000ULL;
}

static __always_inline bool fragment_is_stale(const struct fragment *known, __u32 now)
{
	__u32 life = known->detour     ? FRAGMENT_LIFE_DETOUR
		     : known->complete ? FRAGMENT_LIFE_COMPLETE
				       : FRAGMENT_LIFE_OPEN;

	/* The clock of another CPU may be a tick ahead. */
	return (__s32)(now - known->since) > (__s32)life;
}

/* Bytes are counted, not ranges: this decides only how long the entry stands. */
static __always_inline void fragment_count_bytes(const struct packet *pkt, struct fragment *known)
{
	known->bytes += pkt->fragment_bytes;
	if (!(pkt->flags & PACKET_MORE_FRAGMENTS))
		known->total = pkt->fragment_offset + pkt->fragment_bytes;
	if (known->complete || !known->total || known->bytes < known->total)
		return;
	known->since = fragment_clock();
	known->complete = 1;
}

/* All fragments of a datagram that is on the detour; the namespace joins them. */
static __always_inline int fragment_divert(struct packet *pkt, struct fragment_counter *counter)
{
	int rc = detour_check(pkt);

	if (rc)
		return rc;
	if (!detour_admit(pkt)) {
		counter->limited++;
		return -DROP_FRAGMENT_LIMIT;
	}
	return detour_send(pkt, counter);
}

static __always_inline int fragment_first(struct packet *pkt, const struct fragment_key *key,
					  struct fragment_counter *counter)
{
	struct fragment fresh = {
		.since = fragment_clock(),
		.bytes = pkt->fragment_bytes,
		.source_port = pkt->key.source_port,
		.destination_port = pkt->key.destination_port,
		.icmp_type = pkt->icmp_type,
		.protocol = pkt->key.protocol,
	};
	struct fragment *known;

	if (!bpf_map_update_elem(&fragments, key, &fresh, BPF_NOEXIST))
		return 0;
	known = bpf_map_lookup_elem(&fragments, key);
	if (known && !fragment_is_stale(known, fresh.since)) {
		if (known->detour)
			return fragment_divert(pkt, counter);
		if (known->source_port == fresh.source_port &&
		    known->destination_port == fresh.destination_port &&
		    known->protocol == fresh.protocol && known->complete)
			return 0; /* a duplicate; its entry need not stand longer */
	}
	bpf_map_update_elem(&fragments, key, &fresh, BPF_ANY);
	return 0;
}

/* Gives the packet what only its first fragment said. */
static __always_inline int fragment_serve(struct packet *pkt, struct fragment *known,
					  struct fragment_counter *counter)
{
	counter->hit++;
	fragment_count_bytes(pkt, known);
	pkt->key.source_port = known->source_port;
	pkt->key.destination_port = known->destination_port;
	pkt->key.protocol = known->protocol;
	pkt->icmp_type = known->icmp_type;
	return 0;
}

/* A later fragment before its first one, unless that one wins the entry at this moment. */
static __always_inline int fragment_miss(struct packet *pkt, const struct fragment_key *key,
					 struct fragment *stale, struct fragment_counter *counter)
{
	struct fragment fresh = {.since = fragment_clock(), .detour = 1};
	struct fragment *known;
	int rc = detour_check(pkt);

	counter->miss++;
	if (rc)
		return rc;
	if (!detour_admit(pkt)) {
		counter->limited++;
		return -DROP_FRAGMENT_LIMIT;
	}
	if (bpf_map_update_elem(&fragments, key, &fresh, stale ? BPF_ANY : BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&fragments, key);
		if (known && !known->detour)
			return fragment_serve(pkt, known, counter);
	}
	return detour_send(pkt, counter);
}

static __always_inline int fragment_later(struct packet *pkt, const struct fragment_key *key,
					  struct fragment_counter *counter)
{
	struct fragment *known = bpf_map_lookup_elem(&fragments, key);

	if (known && !fragment_is_stale(known, fragment_clock()))
		return known->detour ? fragment_divert(pkt, counter)
				     : fragment_serve(pkt, known, counter);
	if (!key->ordered)
		return fragment_miss(pkt, key, known, counter);
	counter->disordered++;
	return -DROP_FRAGMENT_MISS;
}

static __noinline int fragment_track_slow(struct packet *pkt)
{
	struct fragment_key key = {
		.source = pkt->key.source,
		.destination = pkt->key.destination,
		.identification = pkt->identification,
		.protocol = pkt->family == FAMILY_IPV4 ? pkt->key.protocol : 0,
		.ordered = !!(pkt->flags & PACKET_ORDERED),
	};
	struct fragment_counter *counter = fragment_counter_get(pkt);

	if (!counter)
		return -DROP_FRAGMENT_MISS;
	if (pkt->flags & PACKET_FIRST_FRAGMENT) {
		counter->first++;
		return fragment_first(pkt, &key, counter);
	}
	return fragment_later(pkt, &key, counter);
}

/* Gives a later fragment the ports of its first one. Goes on (0) with whole packets. */
static __always_inline int fragment_track(struct packet *pkt)
{
	if (!packet_is_fragment(pkt))
		return 0;
	return fragment_track_slow(pkt);
}

#endif
