/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hits: how often a service chose each of its backends. Established connections never come here. */
#ifndef ISTHMUS_HIT_H
#define ISTHMUS_HIT_H

#include "maps.h"

/* A connection begins. A count that finds no room is lost, and nothing else. */
static __noinline int hit_count(struct service *service, struct backend *backend)
{
	struct hit_key key = {
		.address = backend->address,
		.service_id = service->id,
		.port = backend->port,
	};
	struct hit_counter none = {};
	struct hit_counter *counter = bpf_map_lookup_elem(&hits, &key);

	if (!counter) {
		bpf_map_update_elem(&hits, &key, &none, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&hits, &key);
	}
	if (counter)
		counter->connections++;
	return 0;
}

#endif
