/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Direct server return, at the node of the pod. The node that took the packet in has chosen the pod
 * and sent it here, unchanged and inside another one to that pod; answers go from here to the
 * client itself. Unwrapped, the packet takes the way of all others from the wire, but for the
 * choice.
 */
#ifndef ISTHMUS_DIRECT_H
#define ISTHMUS_DIRECT_H

#include "nat.h"
#include "tunnel.h"

/* Whether the address is a node's, and `node` is what that one sends from. */
static __always_inline bool address_is_of_node(const ip_addr *address, const ip_addr *node)
{
	struct route *route = route_lookup(address);

	return route && route->type == ROUTE_NATIVE && address_equals(&route->next_hop, node);
}

/* Whether the inner packet may be what a node hands over: a pod's address would be forged, and what
 * is for this node or its pods needs no other one. */
static __always_inline bool direct_is_allowed(const struct packet *pkt)
{
	return !address_is_inside(&pkt->key.source) && !address_is_inside(&pkt->key.destination) &&
	       !address_equals(&pkt->key.destination, &config.node_address[pkt->family & 1]);
}

/* A packet in a packet to a pod of this node: afterwards it is the inner one. A pod may send one to
 * another for a tunnel of its own; who is outside may not. */
static __noinline int direct_unwrap(struct packet *pkt)
{
	struct endpoint *pod = bpf_map_lookup_elem(&endpoints, &pkt->key.destination);
	struct scratch *s = scratch_get();
	int rc;

	if (!s || !pod || !pod->ifindex || address_is_inside(&pkt->key.source))
		return 0;
	if (!address_is_of_node(&pkt->key.source, &pkt->key.source))
		return -DROP_TUNNEL_SOURCE;
	if (packet_is_fragment(pkt) || pkt->transport != ETHERNET_BYTES + tunnel_bytes(pkt->family))
		return -DROP_MALFORMED;
	s->tunnel_source = pkt->key.source;
	s->tunnel_destination = pkt->key.destination;
	rc = tunnel_unwrap(pkt);
	if (rc)
		return rc;
	return direct_is_allowed(pkt) ? 0 : -DROP_NO_DIRECT_BACKEND;
}

/* Goes on (0) with what no node has handed over, and with the inner packet. */
static __always_inline int direct_receive(struct packet *pkt)
{
	pkt->unwrapped = packet_hide(pkt, 0);
	return packet_is_tunnel(pkt) ? direct_unwrap(pkt) : 0;
}

/* What opens a connection follows the latest choice of the node that took it in; one that is known
 * here with another backend gives way. A connection that has begun stays where it is. */
static __noinline int direct_settle(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct flow *flow;

	if (!s || (pkt->key.protocol == IPPROTO_TCP && !packet_opens(pkt)))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	if (flow && (flow->flags & FLOW_ENCAPSULATE ||
		     !address_equals(&flow->destination, &s->tunnel_destination)))
		flow_remove_by(s, &pkt->key, flow);
	return 0;
}

/* The pod's port for the frontend; NULL when it has none. A node port is one of the node that took
 * the packet in, and all nodes have the same. */
static __always_inline struct direct_backend *direct_backend_lookup(const struct packet *pkt,
								    struct scratch *s)
{
	struct direct_key *key = &s->direct_key;
	struct direct_backend *backend;

	__builtin_memset(key, 0, sizeof(*key));
	key->pod = s->tunnel_destination;
	key->address = pkt->key.destination;
	key->port = pkt->key.destination_port;
	key->protocol = pkt->key.protocol;
	backend = bpf_map_lookup_elem(&direct_backends, key);
	if (backend || !address_is_of_node(&key->address, &s->tunnel_source))
		return backend;
	__builtin_memset(&key->address, 0, sizeof(key->address));
	return bpf_map_lookup_elem(&direct_backends, key);
}

/* Creates the flow: the client keeps its address, as with a pod of the node that took it in. */
static __noinline int direct_connect(struct packet *pkt)
{
	struct nat_request request = {};
	struct scratch *s = scratch_get();
	struct direct_backend *backend;
	int rc;

	if (!s)
		return -DROP_FLOW_TABLE_FULL;
	backend = direct_backend_lookup(pkt, s);
	if (!backend)
		return -DROP_NO_DIRECT_BACKEND;
	rc = nat_check(pkt);
	if (rc)
		return rc;
	request.destination = s->tunnel_destination;
	request.destination_port = backend->port;
	request.target = bpf_map_lookup_elem(&endpoints, &s->tunnel_destination);
	if (!request.target)
		return -DROP_NO_ENDPOINT;
	rc = nat_open(pkt, &request);
	if (rc == PORT_CONFLICT) {
		request.owner = bpf_map_lookup_elem(
			&endpoints, (const void *)&config.node_address[pkt->family & 1]);
		rc = nat_open(pkt, &request);
	}
	return rc < 0 ? nat_refuse(pkt, rc) : VERDICT_CONTINUE;
}

#endif
