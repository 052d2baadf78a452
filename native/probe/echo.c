/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP stream of pattern bytes that a server echoes, verified byte by byte. */
#include "echo.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "clock.h"
#include "pattern.h"
#include "process.h"
#include "socket.h"

#define CHUNK (64 * 1024)

int echo_open(struct echo *echo, struct client *client)
{
	int rc = client_open(client);

	*echo = (struct echo){.client = client};
	if (!rc)
		rc = socket_write(client->fd, "echo\n", 5, client->deadline);
	echo->last_receipt = clock_ns();
	return rc;
}

static void note_gap(struct echo *echo)
{
	int64_t now = clock_ns();
	int64_t gap = now - echo->last_receipt;

	if (gap > echo->max_gap)
		echo->max_gap = gap;
	echo->last_receipt = now;
}

static int echo_write(struct echo *echo)
{
	static char chunk[CHUNK];
	uint64_t left = echo->queued - echo->written;
	size_t length = left < CHUNK ? (size_t)left : CHUNK;
	ssize_t count;

	if (!length)
		return 0;
	pattern_fill(chunk, echo->written, length);
	count = send(echo->client->fd, chunk, length, 0);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	echo->written += (uint64_t)count;
	return 0;
}

static int echo_read(struct echo *echo)
{
	static char chunk[CHUNK];
	ssize_t count = recv(echo->client->fd, chunk, sizeof(chunk), 0);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!count) /* the server never closes first */
		return -ECONNRESET;
	echo->differences += pattern_differences(chunk, echo->received, (size_t)count);
	echo->received += (uint64_t)count;
	note_gap(echo);
	return 0;
}

int echo_advance(struct echo *echo, int64_t until)
{
	struct pollfd poll = {.fd = echo->client->fd, .events = POLLIN};
	int rc = 0;

	if (echo->written < echo->queued)
		poll.events |= POLLOUT;
	if (!process_poll(&poll, 1, until))
		return 0;
	if (poll.revents & (POLLIN | POLLERR | POLLHUP))
		rc = echo_read(echo);
	if (!rc && (poll.revents & POLLOUT))
		rc = echo_write(echo);
	return rc;
}

void echo_finish(struct echo *echo)
{
	if (echo->received < echo->queued)
		note_gap(echo);
}
