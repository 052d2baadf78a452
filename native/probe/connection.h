/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of the server: a command line, then what it asks for. */
#ifndef PROBE_CONNECTION_H
#define PROBE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

struct connection;

/* Takes the descriptor over; NULL without memory. */
struct connection *connection_open(int fd, const union address *peer);

/* Goes on as far as it can without waiting; false when the connection is over. */
bool connection_advance(struct connection *connection);

/* EPOLLIN or EPOLLOUT: what to wait for before the next step. */
uint32_t connection_events(const struct connection *connection);

int connection_fd(const struct connection *connection);

void connection_close(struct connection *connection);

#endif
