/* SPDX-License-Identifier: Apache-2.0 */
/* The monotonic clock as one number of nanoseconds. */
#ifndef PROBE_CLOCK_H
#define PROBE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS     1000000LL
#define NS_PER_SECOND 1000000000LL

static inline int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

#endif
