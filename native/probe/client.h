/* SPDX-License-Identifier: Apache-2.0 */
/* A client's one connection, and the fields that every report about it has. */
#ifndef PROBE_CLIENT_H
#define PROBE_CLIENT_H

#include <stdint.h>

#include "address.h"
#include "options.h"

struct client {
	const struct options *options;
	union address peer;
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	int fd; /* -1 before client_open */
	int64_t started;
	int64_t deadline;
};

/* `tcp|udp ADDR PORT ACTION …`: every client command; returns the exit status. */
int client_run(const struct options *options);

/* Opens the socket and connects it; 0 or -errno. */
int client_open(struct client *client);

/* Begins the report: ok, local, peer, error, ms. `rc` is 0 or -errno. */
void client_report(const struct client *client, bool ok, int rc);

#endif
