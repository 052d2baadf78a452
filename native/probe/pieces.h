/* SPDX-License-Identifier: Apache-2.0 */
/* The fragments of a datagram, in an order that a sender who keeps it would never choose. */
#ifndef PROBE_PIECES_H
#define PROBE_PIECES_H

#include <stdbool.h>
#include <stddef.h>

#define PIECES_MAX 1024

enum order {
	ORDER_KEPT,
	ORDER_SWAPPED, /* the second before the first */
	ORDER_REVERSED,
	ORDER_SHUFFLED,
	ORDER_INTERLEAVED, /* reversed, two datagrams at a time */
	ORDER_DUPLICATED, /* reversed, every later one twice */
	ORDER_OVERLAPPING, /* reversed, with one more that overlaps two */
	ORDER_HEADLESS, /* without the first */
	ORDER_INCOMPLETE, /* reversed, without the last */
	ORDER_BOGUS, /* one later fragment of a datagram that never was */
};

struct piece {
	size_t offset;
	size_t length;
	bool more; /* not the last of the datagram */
};

struct pieces {
	struct piece list[PIECES_MAX];
	size_t count;
};

/* False when there is no order of that name. */
bool order_parse(enum order *order, const char *name);

/* Cuts `length` bytes into fragments of at most `size`, a multiple of 8, and orders them. */
void pieces_cut(struct pieces *pieces, enum order order, size_t length, size_t size);

#endif
