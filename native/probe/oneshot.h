/* SPDX-License-Identifier: Apache-2.0 */
/* The clients that ask once: who, sink, source, echo. */
#ifndef PROBE_ONESHOT_H
#define PROBE_ONESHOT_H

#include "client.h"

/* Runs the action that the words name, prints its report and returns the exit status. */
int oneshot_run(struct client *client);

#endif
