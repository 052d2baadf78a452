/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of times, in buckets that are at most 1/1024 wide of their value. */
#include "histogram.h"

#define SUB (1U << HISTOGRAM_SUB_BITS)

/* Values below SUB have a bucket each; above, every power of two has SUB buckets. */
static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value < SUB)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift + 1) * SUB + ((unsigned int)(value >> shift) - SUB);
}

static uint64_t bucket_middle(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return (((uint64_t)(bucket % SUB) + SUB) << shift) + ((1ULL << shift) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	if (!histogram->count || value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->count++;
	histogram->sum += value;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t rank = (uint64_t)(share * (double)histogram->count);
	uint64_t below = 0;

	for (unsigned int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		below += histogram->buckets[bucket];
		if (below > rank)
			return bucket_middle(bucket);
	}
	return histogram->max;
}
