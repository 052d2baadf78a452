/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destinations inside the cluster: never translated, no flow kept. */
#ifndef ISTHMUS_INSIDE_H
#define ISTHMUS_INSIDE_H

#include "way.h"

/* To a pod of another node. */
static __always_inline int inside_to_node(struct packet *pkt, const struct route *route)
{
	struct way *way = way_slot(pkt);

	if (!way)
		return -DROP_NO_ROUTE;
	way_learn_node(pkt, way, route);
	return way_forward(pkt, way);
}

/* Whether the sender may see addresses of pods: who is outside of an island may not. */
static __always_inline bool inside_is_shown(const struct packet *pkt)
{
	struct route *route;

	if (!config.island[pkt->family & 1] || address_is_inside(&pkt->key.source))
		return true;
	route = route_lookup(&pkt->key.source);
	return route && route->type == ROUTE_NATIVE;
}

/* To an address that no pod has, or has any more: a connection that still goes there ends at once.
 */
static __always_inline int inside_to_nobody(struct packet *pkt)
{
	bool connected = protocol_has_connections(pkt->key.protocol) &&
			 !(pkt->tcp_flags & TCP_SYN) && !(pkt->flags & PACKET_LATER_FRAGMENT);

	if (connected && inside_is_shown(pkt))
		return answer_reset(pkt, DROP_NO_ENDPOINT);
	return answer_unreachable(pkt, DROP_NO_ENDPOINT);
}

/* To a pod of this node. How a chained one is reached, the host's stack knows. */
static __always_inline int inside_to_endpoint(struct packet *pkt, const struct endpoint *to)
{
	return to->flags & ENDPOINT_CHAINED ? VERDICT_TO_HOST : forward_to_endpoint(pkt, to);
}

/* One lookup for a pod of this node. Goes on (0) with a destination outside the cluster. */
static __always_inline int inside_forward(struct packet *pkt)
{
	struct endpoint *endpoint;
	struct route *route;

	if (!address_is_inside(&pkt->key.destination))
		return 0;
	endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.destination);
	if (endpoint)
		return inside_to_endpoint(pkt, endpoint);
	route = route_lookup(&pkt->key.destination);
	if (!route || route->type != ROUTE_NODE)
		return inside_to_nobody(pkt);
	/* What came from the wire does not go back to it: the sender's table is stale. */
	if (pkt->direction == DIRECTION_FROM_NETDEV)
		return answer_unreachable(pkt, DROP_NO_ENDPOINT);
	return inside_to_node(pkt, route);
}

#endif
