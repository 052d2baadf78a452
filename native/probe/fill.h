/* SPDX-License-Identifier: Apache-2.0 */
/* `tcp … fill`: as many connections as can be opened at the same time. */
#ifndef PROBE_FILL_H
#define PROBE_FILL_H

#include "client.h"

/* Opens until one is refused or all are open, reports, and holds them until it must stop. */
int fill_run(struct client *client);

#endif
