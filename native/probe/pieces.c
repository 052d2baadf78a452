/* SPDX-License-Identifier: Apache-2.0 */
/* The fragments of a datagram, in an order that a sender who keeps it would never choose. */
#include "pieces.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
	[ORDER_KEPT] = "kept",
	[ORDER_SWAPPED] = "swapped",
	[ORDER_REVERSED] = "reversed",
	[ORDER_SHUFFLED] = "shuffled",
	[ORDER_INTERLEAVED] = "interleaved",
	[ORDER_DUPLICATED] = "duplicated",
	[ORDER_OVERLAPPING] = "overlapping",
	[ORDER_HEADLESS] = "headless",
	[ORDER_INCOMPLETE] = "incomplete",
	[ORDER_BOGUS] = "bogus",
};

bool order_parse(enum order *order, const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i], name))
			continue;
		*order = (enum order)i;
		return true;
	}
	return false;
}

static void swap(struct piece *one, struct piece *other)
{
	struct piece kept = *one;

	*one = *other;
	*other = kept;
}

static void reverse(struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->count / 2; i++)
		swap(&pieces->list[i], &pieces->list[pieces->count - 1 - i]);
}

static void shuffle(struct pieces *pieces)
{
	for (size_t i = pieces->count; i > 1; i--)
		swap(&pieces->list[i - 1], &pieces->list[(size_t)rand() % i]);
}

/* Every piece but the first of the datagram, which is the last of the list. */
static void duplicate(struct pieces *pieces)
{
	size_t from = pieces->count - 1;
	size_t to = from * 2;

	pieces->count = to + 1;
	pieces->list[to] = pieces->list[from];
	while (from--) {
		pieces->list[--to] = pieces->list[from];
		pieces->list[--to] = pieces->list[from];
	}
}

/* One more, half of it in the second fragment and half in the third. */
static void overlap(struct pieces *pieces, size_t size)
{
	struct piece extra = {.offset = size + size / 16 * 8, .length = size, .more = true};

	memmove(pieces->list + 2, pieces->list + 1, (pieces->count - 1) * sizeof(extra));
	pieces->list[1] = extra;
	pieces->count++;
}

static void drop_front(struct pieces *pieces)
{
	pieces->count--;
	memmove(pieces->list, pieces->list + 1, pieces->count * sizeof(*pieces->list));
}

static void cut(struct pieces *pieces, size_t length, size_t size)
{
	pieces->count = 0;
	for (size_t at = 0; at < length && pieces->count < PIECES_MAX / 2; at += size) {
		struct piece *piece = &pieces->list[pieces->count++];

		piece->offset = at;
		piece->length = length - at < size ? length - at : size;
		piece->more = at + size < length;
	}
}

void pieces_cut(struct pieces *pieces, enum order order, size_t length, size_t size)
{
	cut(pieces, length, size);
	switch (order) {
	case ORDER_KEPT:
		return;
	case ORDER_SWAPPED:
		if (pieces->count > 1)
			swap(&pieces->list[0], &pieces->list[1]);
		return;
	case ORDER_SHUFFLED:
		shuffle(pieces);
		return;
	case ORDER_HEADLESS:
		drop_front(pieces);
		return;
	case ORDER_BOGUS:
		pieces->list[0] = pieces->list[1];
		pieces->count = 1;
		return;
	default:
		break;
	}
	reverse(pieces);
	if (order == ORDER_DUPLICATED)
		duplicate(pieces);
	if (order == ORDER_OVERLAPPING)
		overlap(pieces, size);
	if (order == ORDER_INCOMPLETE)
		drop_front(pieces);
}
