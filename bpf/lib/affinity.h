/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Session affinity: a client's connections to a service go where its last one went. */
#ifndef ISTHMUS_AFFINITY_H
#define ISTHMUS_AFFINITY_H

#include "nat.h"

/* A search for a backend among the slots of a set. */
struct affinity_search {
	struct backend_key key;
	__be16 port;
	__u16 pad;
	__u32 found; /* 1: at key.slot */
	ip_addr address;
};

static long affinity_try_slot(__u32 slot, struct affinity_search *search)
{
	struct backend *backend;

	search->key.slot = slot;
	backend = bpf_map_lookup_elem(&backends, &search->key);
	if (!backend || backend->port != search->port ||
	    !address_equals(&backend->address, &search->address))
		return 0;
	search->found = 1;
	return 1;
}

/* The slot of a remembered backend in the set of today; negative when it has left the set. */
static __always_inline __s64 affinity_slot(const struct affinity *affinity,
					   const struct service *service,
					   const struct backend_set *set)
{
	struct affinity_search search = {
		.key = {.service_id = service->id, .generation = set->generation},
		.port = affinity->port,
		.address = affinity->address,
	};

	/* It seldom moves. */
	if (!affinity_try_slot(affinity->slot, &search))
		bpf_loop(set->backend_count, affinity_try_slot, &search, 0);
	return search.found ? (__s64)search.key.slot : -1;
}

/* The slot that the client's last connection is remembered by; negative: it may have any. */
static __noinline __s64 affinity_find(ip_addr *client, struct service *service,
				      struct backend_set *set)
{
	struct affinity_key key = {.client = *client, .service_id = service->id};
	struct affinity *affinity = bpf_map_lookup_elem(&affinities, &key);

	/* The clock of another CPU may be a tick ahead. */
	if (!affinity || (__s32)(clock_seconds() - affinity->seen) >= (__s32)service->affinity)
		return -1;
	return affinity_slot(affinity, service, set);
}

/* A connection begins: from now on the client is remembered by it. */
static __noinline int affinity_remember(ip_addr *client, struct backend_key *at,
					struct backend *backend)
{
	struct affinity_key key = {.client = *client, .service_id = at->service_id};
	struct affinity affinity = {
		.address = backend->address,
		.port = backend->port,
		.slot = at->slot,
		.seen = clock_seconds(),
	};

	return bpf_map_update_elem(&affinities, &key, &affinity, BPF_ANY);
}

#endif
