/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of times, in buckets that are at most 1/1024 wide of their value. */
#ifndef PROBE_HISTOGRAM_H
#define PROBE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 10
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `share` (0 to 1) of all do not exceed; 0 when there is none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
