/* SPDX-License-Identifier: Apache-2.0 */
/* TCP counters of the whole network namespace. */
#ifndef PROBE_COUNTERS_H
#define PROBE_COUNTERS_H

#include <stdint.h>

struct counters {
	uint64_t retransmits; /* Tcp: RetransSegs */
	uint64_t syn_retransmits; /* TcpExt: TCPSynRetrans */
	uint64_t resets_sent; /* Tcp: OutRsts */
	uint64_t connections_reset; /* Tcp: EstabResets */
};

/* A counter that the kernel does not show is 0. */
void counters_read(struct counters *counters);

#endif
