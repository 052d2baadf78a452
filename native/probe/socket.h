/* SPDX-License-Identifier: Apache-2.0 */
/* Client sockets: non-blocking, with an absolute deadline for every step. Errors are -errno. */
#ifndef PROBE_SOCKET_H
#define PROBE_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "options.h"

/* A socket of the peer's family, bound as the options say. */
int socket_open(const struct options *options, int type, const union address *peer);

/* A listening or datagram socket for both families; -errno otherwise. */
int socket_serve(const struct options *options, int type);

int socket_connect(int fd, const union address *peer, int64_t deadline);

/* At least one byte, 0 at the end of the stream. */
ssize_t socket_read(int fd, void *bytes, size_t length, int64_t deadline);

/* All of the bytes. */
int socket_write(int fd, const void *bytes, size_t length, int64_t deadline);

/* Makes the socket block, each call for at most this long. */
int socket_block(int fd, int64_t timeout_ms);

#endif
