/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers of the node's own processes that were reached by a frontend. */
#ifndef ISTHMUS_HOST_H
#define ISTHMUS_HOST_H

#include "established.h"

/* Gives the answer the frontend's name. The host has found its way already, and goes on with it. */
static __always_inline int host_translate(struct packet *pkt, struct flow *flow)
{
	seconds now = clock_seconds();

	if (flow->seen != now && flow_is_refreshed(pkt, flow)) {
		flow->seen = now;
		tracking_record(pkt, flow);
	}
	tracking_update(pkt, flow);
	flow->packets++;
	flow->bytes += pkt->length;
	return packet_rewrite(pkt, flow) ?: VERDICT_TO_HOST;
}

/* Goes on (0) with what the host sends for itself. Its fragments have no ports to be known by. */
static __always_inline int host_answer(struct packet *pkt)
{
	struct flow *flow;

	if (pkt->flags & (PACKET_ICMP_ERROR | PACKET_ICMP_OTHER) || packet_is_fragment(pkt))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	/* Only a process of the node has no device. */
	return flow && !flow->ifindex_in ? host_translate(pkt, flow) : 0;
}

#endif
