/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CRC32c (RFC 9260 appendix A) by differences. A CRC is linear: when bytes of a message change, the
 * CRC changes by that of the difference alone, and the rest of the message need not be read. So it
 * also stays wrong when it was wrong.
 */
#ifndef ISTHMUS_CRC_H
#define ISTHMUS_CRC_H

#include "types.h"

enum crc_limits {
	CRC_POLYNOMIAL = 0x82f63b78, /* Castagnoli's, bit 31 is the constant term */
	CRC_POWERS = 16, /* for messages of less than 65,536 bytes */
};

/* What 2^n zero bytes multiply a CRC by: x^(8 * 2^n) modulo the polynomial, each the square of the
 * one before. */
static const __u32 crc_powers[CRC_POWERS] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
	0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
	0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* The product of two polynomials over GF(2), modulo the CRC's. Without branches, which the verifier
 * would have to follow. */
static __always_inline __u32 crc_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 31; i >= 0; i--) {
		product ^= b & -(a >> i & 1);
		b = b >> 1 ^ (CRC_POLYNOMIAL & -(b & 1));
	}
	return product;
}

/*
 * A CRC after so many zero bytes: a multiplication for each bit that is set in their number. With
 * the difference of a message's first four bytes, and the length of all of it: the difference of
 * its CRCs. Not static, so that the verifier walks it once.
 */
__noinline __u32 crc_shift(__u32 crc, __u32 bytes)
{
	for (__u32 i = 0; i < CRC_POWERS; i++)
		if (bytes >> i & 1)
			crc = crc_multiply(crc, crc_powers[i]);
	return crc;
}

#endif
