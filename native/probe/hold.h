/* SPDX-License-Identifier: Apache-2.0 */
/* Long TCP clients over an echo: numbered messages at a rate, and one big transfer. */
#ifndef PROBE_HOLD_H
#define PROBE_HOLD_H

#include "client.h"

/* `tcp … hold`: until the time is over or SIGTERM; prints the report, returns the exit status. */
int hold_run(struct client *client);

/* `tcp … transfer`: --bytes there and back within --timeout without a single byte. */
int transfer_run(struct client *client);

#endif
