/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services: from a frontend to one of its backends. The flow keeps the choice. */
#ifndef ISTHMUS_SERVICE_H
#define ISTHMUS_SERVICE_H

#include "nat.h"

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

/* Any one, with equal chance. */
static __always_inline struct backend *service_select_backend(const struct service *service)
{
	struct backend_key key = {.service_id = service->id, .generation = service->generation};

	if (!service->backend_count)
		return NULL;
	key.slot = bpf_get_prandom_u32() % service->backend_count;
	return bpf_map_lookup_elem(&backends, &key);
}

/*
 * Whose ports the source is translated to. A pod that reaches a service by its frontend goes
 * out and comes back in by its outside name (RFC 4787 REQ-9), so that the answer passes here
 * also when the backend is the pod itself. A client from outside keeps its address towards a
 * backend of this node; towards another node it takes the address of this one. So does a pod of
 * another node: answers to addresses inside the cluster go straight to them, past this flow.
 */
static __always_inline struct endpoint *service_owner(const struct packet *pkt,
						      const struct endpoint *target)
{
	if (pkt->source)
		return pkt->source;
	if (target && !address_is_inside(&pkt->key.source))
		return NULL;
	return bpf_map_lookup_elem(&endpoints, (const void *)&config.node_address[pkt->family & 1]);
}

static __noinline int service_connect(struct packet *pkt, struct service *service)
{
	struct backend *backend = service_select_backend(service);
	struct nat_request request = {};
	int rc = nat_check(pkt);

	if (rc)
		return rc;
	if (!backend)
		return answer_refused(pkt, DROP_NO_BACKEND);
	request.destination = backend->address;
	request.destination_port = backend->port;
	request.target = bpf_map_lookup_elem(&endpoints, &backend->address);
	request.owner = service_owner(pkt, request.target);
	rc = nat_open(pkt, &request);
	/* Two frontends with one backend: the client's port is taken, so it gets another. */
	if (rc == PORT_CONFLICT) {
		request.owner = bpf_map_lookup_elem(
			&endpoints, (const void *)&config.node_address[pkt->family & 1]);
		rc = nat_open(pkt, &request);
	}
	return rc < 0 ? nat_refuse(pkt, rc) : VERDICT_CONTINUE;
}

/* A packet to a frontend gets its backend. Goes on (0) with every other packet. */
static __always_inline int service_translate(struct packet *pkt)
{
	struct service *service = service_lookup(pkt);
	int rc;

	if (!service)
		return 0;
	rc = service_connect(pkt, service);
	return rc ?: flow_begin(pkt);
}

#endif
