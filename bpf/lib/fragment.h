/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments of translated datagrams: the first one's ports serve the later ones. */
#ifndef ISTHMUS_FRAGMENT_H
#define ISTHMUS_FRAGMENT_H

#include "events.h"

static __noinline int fragment_track_slow(struct packet *pkt)
{
	struct fragment_key key = {
		.source = pkt->key.source,
		.destination = pkt->key.destination,
		.identification = pkt->identification,
		.protocol = pkt->key.protocol,
	};
	struct fragment *first;

	if (pkt->flags & PACKET_FIRST_FRAGMENT) {
		struct fragment ports = {
			.source_port = pkt->key.source_port,
			.destination_port = pkt->key.destination_port,
			.seen = clock_seconds(),
			.icmp_type = pkt->icmp_type,
		};

		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
		return 0;
	}
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return -DROP_FRAGMENT_MISS;
	pkt->key.source_port = first->source_port;
	pkt->key.destination_port = first->destination_port;
	pkt->icmp_type = first->icmp_type;
	return 0;
}

/* Gives a later fragment the ports of its first one. Goes on (0) with whole packets. */
static __always_inline int fragment_track(struct packet *pkt)
{
	if (!(pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT)))
		return 0;
	return fragment_track_slow(pkt);
}

#endif
