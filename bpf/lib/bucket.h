/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A walk over a hash table that can stop after any bucket and go on there later, which
 * bpf_for_each_map_elem cannot. It reads the kernel's own lists (kernel/bpf/hashtab.c, by CO-RE)
 * and sees copies of entries: what it decides is decided again under the entry's own lookup.
 */
#ifndef ISTHMUS_BUCKET_H
#define ISTHMUS_BUCKET_H

#include "answer.h"

enum bucket_limits {
	BUCKET_END = 1, /* bit of an address that ends a list (include/linux/list_nulls.h) */
	BUCKET_LINE = 64, /* bytes of a cache line */
	BUCKET_LINES = 3, /* of an element, in which its key is, and what a walk asks of a flow */
};

/* Whether the kernel's tables are as this file knows them; a constant when the program is loaded.
 */
static __always_inline bool bucket_is_known(void)
{
	return bpf_core_field_exists(struct bpf_htab, buckets) &&
	       bpf_core_field_exists(struct bpf_htab, n_buckets) &&
	       bpf_core_field_exists(struct htab_elem, key) &&
	       bpf_core_type_size(struct bucket) == sizeof(struct bucket_head);
}

/* An address that cannot be read is the end of its list. */
static __always_inline __u64 bucket_read(__u64 address)
{
	__u64 value = BUCKET_END;

	if (bpf_probe_read_kernel(&value, sizeof(value), (const void *)address))
		return BUCKET_END;
	return value;
}

/* Volatile: the value has no other use. An address that cannot be read gives 0. */
static __always_inline __u64 bucket_touch(__u64 address)
{
	return *(const volatile __u64 *)bpf_rdonly_cast((const void *)address, 0);
}

/* Every element lies somewhere else in memory: all of a row are on their way at once. */
static __always_inline void bucket_fetch(const struct bucket_row *row)
{
	if (!bpf_core_enum_value_exists(enum bpf_features, BPF_FEAT_RDONLY_CAST_TO_VOID))
		return;
	for (__u32 i = 0; i < BUCKET_ROW; i++) {
		__u64 element = row->heads[i].first;

		if (element & BUCKET_END)
			continue;
		bucket_touch(element);
		bucket_touch(element + BUCKET_LINE);
		bucket_touch(element + 2 * BUCKET_LINE);
	}
	for (__u32 i = 0; i < BUCKET_ROW; i++) {
		__u64 element = row->heads[i].first;

		if (element & BUCKET_END)
			continue;
		element = bucket_touch(element);
		if (element & BUCKET_END)
			continue;
		bucket_touch(element);
		bucket_touch(element + BUCKET_LINE);
		bucket_touch(element + 2 * BUCKET_LINE);
	}
}

/* The first element of the next bucket. */
static __always_inline void bucket_advance(struct walk *walk, struct bucket_row *row,
					   const struct bpf_htab *table)
{
	__u32 place = walk->bucket % BUCKET_ROW;

	if (place == 0) {
		const char *buckets = (const char *)table->buckets;

		if (bpf_probe_read_kernel(row, sizeof(*row),
					  buckets + walk->bucket * sizeof(struct bucket_head)))
			__builtin_memset(row, 0xff, sizeof(*row));
		bucket_fetch(row);
	}
	walk->element = row->heads[place].first;
	walk->bucket++;
}

/* Copies the next entry, its key and its value behind it; false where a list ends. */
static __always_inline bool bucket_next(struct walk *walk, void *entry, __u32 size)
{
	__u64 element = walk->element;

	if (element & BUCKET_END)
		return false;
	walk->element = bucket_read(element);
	return !bpf_probe_read_kernel(
		entry, size, (const char *)element + bpf_core_field_offset(struct htab_elem, key));
}

#endif
