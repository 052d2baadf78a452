/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP stream of pattern bytes that a server echoes, verified byte by byte. */
#ifndef PROBE_ECHO_H
#define PROBE_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

struct echo {
	struct client *client;
	uint64_t queued; /* bytes that may be sent so far */
	uint64_t written;
	uint64_t received;
	uint64_t differences; /* received bytes that are not what was sent */
	int64_t last_receipt; /* monotonic nanoseconds */
	int64_t max_gap; /* longest time without a receipt, nanoseconds */
};

/* Connects and asks the server to echo; 0 or -errno. */
int echo_open(struct echo *echo, struct client *client);

/* Sends and receives what is possible, waiting until then at most; 0 or -errno. */
int echo_advance(struct echo *echo, int64_t until);

/* Adds the silence up to now to the gaps, when something is outstanding. */
void echo_finish(struct echo *echo);

#endif
