/* SPDX-License-Identifier: Apache-2.0 */
/* `bench`: how long a transaction takes, or how many bytes pass. */
#ifndef PROBE_BENCH_H
#define PROBE_BENCH_H

#include "options.h"

/*
 * `bench rr|crr|udp_rr|udp_first|rr_rate|crr_rate|udp_rate|stream ADDR PORT`; prints the report,
 * returns the exit status.
 */
int bench_run(const struct options *options);

#endif
