/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The choice that every node makes alike: a hash of the flow, and a table of the set's backends. */
#ifndef ISTHMUS_MAGLEV_H
#define ISTHMUS_MAGLEV_H

#include "maps.h"

enum maglev_hash_constants {
	MAGLEV_SEED = 0x69737468, /* the same everywhere, or nodes would disagree */
};

static __always_inline __u32 maglev_mix(__u32 hash, __u32 word)
{
	/* MurmurHash3's block step (public domain). */
	word *= 0xcc9e2d51;
	word = (word << 15) | (word >> 17);
	hash ^= word * 0x1b873593;
	hash = (hash << 13) | (hash >> 19);
	return hash * 5 + 0xe6546b64;
}

/* Of the tuple that the client sent. The frontend's address counts, the node does not. */
static __always_inline __u32 maglev_hash(const struct flow_key *key)
{
	__u32 hash = MAGLEV_SEED;

	for (__u32 i = 0; i < 4; i++)
		hash = maglev_mix(hash, key->source.words[i]);
	for (__u32 i = 0; i < 4; i++)
		hash = maglev_mix(hash, key->destination.words[i]);
	hash = maglev_mix(hash, (__u32)key->source_port << 16 | key->destination_port);
	hash = maglev_mix(hash, key->protocol);
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	return hash ^ hash >> 16;
}

/* The slot of the backend that the flow has on every node. */
static __always_inline __u32 maglev_slot(const struct flow_key *flow, __u32 service_id,
					 __u32 generation)
{
	__u32 at = maglev_hash(flow) % MAGLEV_SLOTS;
	struct maglev_key key = {
		.service_id = service_id,
		.generation = generation,
		.chunk = at / MAGLEV_CHUNK,
	};
	struct maglev_chunk *chunk = bpf_map_lookup_elem(&maglev, &key);

	/* Only while the set is being removed: no backend has this slot. */
	if (!chunk)
		return ~0;
	return chunk->slots[at % MAGLEV_CHUNK];
}

#endif
