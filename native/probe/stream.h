/* SPDX-License-Identifier: Apache-2.0 */
/* `udp … stream`: numbered datagrams at a fixed rate, each expected back once. */
#ifndef PROBE_STREAM_H
#define PROBE_STREAM_H

#include "client.h"

/* Until the time is over or SIGTERM; prints the report, returns the exit status. */
int stream_run(struct client *client);

#endif
