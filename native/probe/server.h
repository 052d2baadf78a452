/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: a TCP and UDP server for both families on one port. */
#ifndef PROBE_SERVER_H
#define PROBE_SERVER_H

#include "options.h"

/* Runs until SIGTERM; returns the exit status. */
int server_run(const struct options *options);

#endif
