/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of `bench` has open and what it has counted. */
#include "measurement.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "socket.h"

int measurement_open(const struct bench *bench, const struct options *options, int type)
{
	int fd = socket_open(options, type, &bench->peer);
	int rc;

	if (fd < 0)
		return fd;
	rc = socket_block(fd, options->timeout_ms);
	if (!rc && connect(fd, &bench->peer.any, address_length(&bench->peer)))
		rc = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int measurement_send(int fd, const char *text)
{
	return send(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

int measurement_receive_byte(int fd)
{
	char byte;
	ssize_t count = recv(fd, &byte, 1, 0);

	if (count < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return count ? 0 : -ECONNRESET;
}

void measurement_note(struct bench *bench, int rc, int64_t time)
{
	if (!rc) {
		histogram_add(&bench->times, (uint64_t)time);
		bench->errors_in_a_row = 0;
		return;
	}
	bench->errors++;
	bench->errors_in_a_row++;
	bench->last_error = rc;
}

int64_t measurement_end(const struct bench *bench, int64_t start)
{
	return start + (int64_t)(bench->options->seconds * NS_PER_SECOND);
}
