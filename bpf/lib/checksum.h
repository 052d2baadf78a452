/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksum arithmetic (RFC 1071, RFC 1624): differences, not sums over packets. */
#ifndef ISTHMUS_CHECKSUM_H
#define ISTHMUS_CHECKSUM_H

#include "types.h"

/* Adds the change of a 32-bit word to a difference, in any byte order (RFC 1071, 2.B). */
static __always_inline __u64 checksum_change(__u64 difference, __u32 from, __u32 to)
{
	return difference + (__u32)~from + to;
}

static __always_inline __u64 checksum_change_address(__u64 difference, const ip_addr *from,
						     const ip_addr *to)
{
	for (int i = 0; i < 4; i++)
		difference = checksum_change(difference, from->words[i], to->words[i]);
	return difference;
}

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* A finished checksum after a difference. */
static __always_inline __sum16 checksum_apply(__sum16 checksum, __u64 difference)
{
	return ~checksum_fold((__u16)~checksum + difference);
}

/* The pseudo header's sum that stands in a checksum field until the device finishes it
 * (CHECKSUM_PARTIAL): not complemented, and it holds addresses but no ports. */
static __always_inline __sum16 checksum_apply_partial(__sum16 sum, __u64 difference)
{
	return checksum_fold(sum + difference);
}

#endif
