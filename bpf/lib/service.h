/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services: from a frontend to one of its backends. The flow keeps the choice. */
#ifndef ISTHMUS_SERVICE_H
#define ISTHMUS_SERVICE_H

#include "affinity.h"
#include "hit.h"
#include "maglev.h"

static __always_inline struct service *service_lookup(const struct packet *pkt)
{
	struct service_key key = {
		.address = pkt->key.destination,
		.port = pkt->key.destination_port,
		.protocol = pkt->key.protocol,
	};

	if (packet_is_icmp(pkt))
		return NULL;
	return bpf_map_lookup_elem(&services, &key);
}

/* Any one, with equal chance, or the one that every node would choose. */
static __always_inline __u32 service_choose_slot(const struct flow_key *flow,
						 const struct service *service,
						 const struct backend_set *set)
{
	if (service->flags & SERVICE_MAGLEV)
		return maglev_slot(flow, service->id, set->generation);
	return bpf_get_prandom_u32() % set->backend_count;
}

/* The client's own backend while it has one, otherwise a new choice. NULL: the set has none.
 * For packets and for sockets, whose flow has no source port yet. */
static __always_inline struct backend *
service_select_backend(struct flow_key *flow, struct service *service, struct backend_set *set)
{
	struct backend_key key = {.service_id = service->id, .generation = set->generation};
	struct backend *backend;
	__s64 slot = -1;

	if (!set->backend_count)
		return NULL;
	if (service->affinity)
		slot = affinity_find(&flow->source, service, set);
	key.slot = slot < 0 ? service_choose_slot(flow, service, set) : (__u32)slot;
	backend = bpf_map_lookup_elem(&backends, &key);
	if (backend && service->affinity)
		affinity_remember(&flow->source, &key, backend);
	if (backend)
		hit_count(service, backend);
	return backend;
}

/* Frontends of load balancers may be for some clients only, of whatever scope. */
static __noinline int service_check_source(ip_addr *client, struct service *service)
{
	struct source_range_key key = {
		.prefix_length = 32 + 128,
		.service_id = service->id,
		.prefix = *client,
	};

	if (!(service->flags & SERVICE_SOURCE_RANGES))
		return 0;
	return bpf_map_lookup_elem(&source_ranges, &key) ? 0 : -DROP_SOURCE_RANGE;
}

/* No backend for this scope: the client should try another node, or it learns that nobody has. */
static __always_inline int service_refuse(struct packet *pkt, const struct service *service)
{
	__u32 silent = pkt->direction == DIRECTION_FROM_NETDEV ? SERVICE_DROP_EXTERNAL
							       : SERVICE_DROP_INTERNAL;

	if (service->flags & silent)
		return -DROP_NO_LOCAL_BACKEND;
	return answer_refused(pkt, DROP_NO_BACKEND);
}

/* Whether a backend is a process of this node. */
static __always_inline bool service_is_host(const struct endpoint *target)
{
	return target && target->flags & ENDPOINT_HOST;
}

/*
 * Whose ports the source is translated to. A pod that reaches a service by its frontend goes
 * out and comes back in by its outside name (RFC 4787 REQ-9), so that the answer passes here
 * also when the backend is the pod itself. A client from outside keeps its address towards a
 * backend of this node; towards another node it takes the address of this one. So does a pod of
 * another node: answers to addresses inside the cluster go straight to them, past this flow.
 * A process of the node itself sees every client as it is: host_answer() has what it answers.
 */
static __always_inline struct endpoint *service_owner(const struct packet *pkt,
						      const struct endpoint *target)
{
	if (service_is_host(target))
		return NULL;
	if (pkt->source)
		return pkt->source;
	if (target && !address_is_inside(&pkt->key.source))
		return NULL;
	return bpf_map_lookup_elem(&endpoints, (const void *)&config.node_address[pkt->family & 1]);
}

/*
 * Whether the packet is handed over to its backend's node, which then answers the client itself.
 * Not one of a pod, to which an answer inside the cluster would go untranslated; nor one of that
 * node itself, whose stack gets no packets of its own by programs; nor of SCTP, whose association
 * both directions must be seen for.
 */
static __noinline bool service_is_direct(struct packet *pkt, struct service *service,
					 struct nat_request *request)
{
	struct route *route;

	if (!(service->flags & SERVICE_DIRECT) || pkt->source || request->target ||
	    pkt->key.protocol == IPPROTO_SCTP || address_is_inside(&pkt->key.source))
		return false;
	route = route_to_node(&request->destination);
	return route && !address_equals(&route->next_hop, &pkt->key.source);
}

/* A connection that began at another node, which has chosen as this one does: it goes on here. The
 * pod's node knows whether there is one. */
static __always_inline bool service_takes_over(const struct packet *pkt,
					       const struct service *service)
{
	__u32 same = SERVICE_DIRECT | SERVICE_MAGLEV;

	return (service->flags & same) == same && pkt->direction == DIRECTION_FROM_NETDEV &&
	       pkt->key.protocol == IPPROTO_TCP &&
	       (pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK;
}

static __noinline int service_connect(struct packet *pkt, struct service *service)
{
	struct backend_set *set = &service->sets[SCOPE_INTERNAL];
	struct nat_request request = {};
	struct backend *backend;
	int rc = service_check_source(&pkt->key.source, service);

	if (!rc && !service_takes_over(pkt, service))
		rc = nat_check(pkt);
	if (rc)
		return rc;
	if (pkt->direction == DIRECTION_FROM_NETDEV)
		set = &service->sets[SCOPE_EXTERNAL];
	backend = service_select_backend(&pkt->key, service, set);
	if (!backend)
		return service_refuse(pkt, service);
	request.destination = backend->address;
	request.destination_port = backend->port;
	request.target = bpf_map_lookup_elem(&endpoints, &backend->address);
	request.encapsulate = service_is_direct(pkt, service, &request);
	if (!request.encapsulate) {
		if (service_takes_over(pkt, service))
			return answer_reset(pkt, DROP_NO_FLOW);
		request.owner = service_owner(pkt, request.target);
	}
	rc = nat_open(pkt, &request);
	/* Two frontends with one backend: the client's port is taken, so it gets another. Not
	 * towards the node itself, which would answer to an address of its own. */
	if (rc == PORT_CONFLICT && !service_is_host(request.target)) {
		request.encapsulate = 0;
		request.owner = bpf_map_lookup_elem(
			&endpoints, (const void *)&config.node_address[pkt->family & 1]);
		rc = nat_open(pkt, &request);
	}
	return rc < 0 ? nat_refuse(pkt, rc) : VERDICT_CONTINUE;
}

/*
 * An address that only services can have, and no service's frontend: a cluster IP without this
 * port refuses, and what no service has is dropped. Goes on (0) with every other packet.
 */
static __always_inline int service_check_address(struct packet *pkt)
{
	struct service_key key = {.address = pkt->key.destination};

	if (!address_is_cluster_ip(&pkt->key.destination))
		return 0;
	if (!bpf_map_lookup_elem(&services, &key))
		return -DROP_NO_SERVICE;
	return answer_refused(pkt, DROP_NO_SERVICE);
}

/* A packet to a frontend gets its backend. Goes on (0) with every other packet. */
static __always_inline int service_translate(struct packet *pkt)
{
	struct service *service = service_lookup(pkt);
	int rc;

	if (!service)
		return service_check_address(pkt);
	rc = service_connect(pkt, service);
	return rc ?: flow_begin(pkt);
}

#endif
