/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams in fragments of any order: a client that checks the echo, and a server that echoes so.
 */
#ifndef PROBE_FRAGMENTS_H
#define PROBE_FRAGMENTS_H

#include "options.h"

/* `fragments udp|icmp ADDR PORT`; prints the report, returns the exit status. */
int fragments_run(const struct options *options);

/* `reorder --bind ADDR --port P`: a UDP echo whose answers are cut and ordered. */
int reorder_run(const struct options *options);

#endif
