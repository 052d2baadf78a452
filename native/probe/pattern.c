/* SPDX-License-Identifier: Apache-2.0 */
/* The byte stream: word i is the splitmix64 hash of i, in host order. */
#include "pattern.h"

#define CHUNK 4096

static uint64_t pattern_word(uint64_t index)
{
	uint64_t z = (index + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void pattern_fill(void *bytes, uint64_t offset, size_t length)
{
	uint8_t *out = bytes;
	uint64_t word = pattern_word(offset / 8);

	for (size_t i = 0; i < length; i++, offset++) {
		if (offset % 8 == 0)
			word = pattern_word(offset / 8);
		out[i] = (uint8_t)(word >> (offset % 8 * 8));
	}
}

size_t pattern_differences(const void *bytes, uint64_t offset, size_t length)
{
	const uint8_t *in = bytes;
	uint8_t expected[CHUNK];
	size_t differences = 0;

	for (size_t done = 0; done < length; done += CHUNK) {
		size_t part = length - done < CHUNK ? length - done : CHUNK;

		pattern_fill(expected, offset + done, part);
		for (size_t i = 0; i < part; i++)
			differences += in[done + i] != expected[i];
	}
	return differences;
}

uint64_t checksum_add(uint64_t checksum, const void *bytes, size_t length)
{
	const uint8_t *in = bytes;

	for (size_t i = 0; i < length; i++)
		checksum = (checksum ^ in[i]) * 0x100000001b3ULL;
	return checksum;
}

uint64_t pattern_checksum(uint64_t length)
{
	uint64_t checksum = CHECKSUM_START;
	uint8_t bytes[CHUNK];

	for (uint64_t done = 0; done < length; done += CHUNK) {
		size_t part = length - done < CHUNK ? (size_t)(length - done) : CHUNK;

		pattern_fill(bytes, done, part);
		checksum = checksum_add(checksum, bytes, part);
	}
	return checksum;
}
