/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo-random byte stream that both ends can compute at any offset, and its checksum. */
#ifndef PROBE_PATTERN_H
#define PROBE_PATTERN_H

#include <stdint.h>
#include <stddef.h>

#define CHECKSUM_START 0xcbf29ce484222325ULL

/* Writes the bytes [offset, offset + length) of the stream. */
void pattern_fill(void *bytes, uint64_t offset, size_t length);

/* How many of the bytes differ from the stream at that offset. */
size_t pattern_differences(const void *bytes, uint64_t offset, size_t length);

/* FNV-1a, 64 bits; start with CHECKSUM_START. */
uint64_t checksum_add(uint64_t checksum, const void *bytes, size_t length);

/* The checksum of the first `length` bytes of the stream. */
uint64_t pattern_checksum(uint64_t length);

#endif
