/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of the server: a command line, then what it asks for. */
#include "connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"

#define BUFFER	     (64 * 1024)
#define LINE_LIMIT   64
#define STEPS_A_TURN 64

enum mode {
	MODE_COMMAND, /* the first line is not complete */
	MODE_ECHO, /* what comes goes back, until the peer closes */
	MODE_SINK, /* `remaining` bytes are read, then the checksum is sent */
	MODE_SOURCE, /* `remaining` bytes of the pattern are sent */
	MODE_DISCARD, /* what comes is thrown away, until the peer closes */
	MODE_FINISH, /* what is buffered is sent, then the connection closes */
};

enum step {
	STEP_MORE, /* something moved: try the next step */
	STEP_WAIT,
	STEP_OVER,
};

/* The buffer holds output, except for the incomplete line in MODE_COMMAND. */
struct connection {
	int fd;
	enum mode mode;
	uint64_t remaining;
	uint64_t done;
	uint64_t checksum;
	size_t head; /* first byte that is not sent */
	size_t tail;
	union address peer;
	char buffer[BUFFER];
};

struct connection *connection_open(int fd, const union address *peer)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection)
		return NULL;
	memset(connection, 0, offsetof(struct connection, buffer)); /* not the buffer: slow */
	connection->fd = fd;
	connection->peer = *peer;
	connection->checksum = CHECKSUM_START;
	return connection;
}

void connection_close(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

int connection_fd(const struct connection *connection)
{
	return connection->fd;
}

static bool has_output(const struct connection *connection)
{
	return connection->mode != MODE_COMMAND && connection->head < connection->tail;
}

uint32_t connection_events(const struct connection *connection)
{
	if (has_output(connection) || connection->mode == MODE_SOURCE ||
	    connection->mode == MODE_FINISH)
		return EPOLLOUT;
	return EPOLLIN;
}

static void answer(struct connection *connection, const char *line)
{
	connection->head = 0;
	connection->tail = (size_t)snprintf(connection->buffer, BUFFER, "%s\n", line);
	connection->mode = MODE_FINISH;
}

static void answer_peer(struct connection *connection)
{
	char text[ADDRESS_TEXT];

	address_format_words(text, &connection->peer);
	answer(connection, text);
}

static void answer_checksum(struct connection *connection)
{
	char text[LINE_LIMIT];

	snprintf(text, sizeof(text), "%" PRIu64 " %016" PRIx64, connection->done,
		 connection->checksum);
	answer(connection, text);
}

/* Counts what a sink got; the answer is due when it has everything. */
static void sink(struct connection *connection, const char *bytes, size_t length)
{
	if (length > connection->remaining)
		length = (size_t)connection->remaining;
	connection->checksum = checksum_add(connection->checksum, bytes, length);
	connection->done += length;
	connection->remaining -= length;
	if (!connection->remaining)
		answer_checksum(connection);
}

static bool numbered(struct connection *connection, const char *line, const char *verb)
{
	size_t length = strlen(verb);
	char *end;

	if (strncmp(line, verb, length) || line[length] < '0' || line[length] > '9')
		return false;
	connection->remaining = strtoull(line + length, &end, 10);
	return *end == '\0';
}

/* `rest` is what came behind the line. */
static void obey(struct connection *connection, const char *line, size_t rest)
{
	if (!strcmp(line, "who")) {
		answer_peer(connection);
	} else if (!strcmp(line, "echo") || !strcmp(line, "rr")) {
		connection->mode = MODE_ECHO;
	} else if (!strcmp(line, "crr")) { /* one answer, then the client closes */
		connection->mode = MODE_ECHO;
		connection->buffer[--connection->head] = '.';
	} else if (!strcmp(line, "crr close")) {
		answer(connection, ".");
		connection->tail = 1; /* without the line's end */
	} else if (!strcmp(line, "discard")) {
		connection->mode = MODE_DISCARD;
		connection->tail = 0;
	} else if (numbered(connection, line, "sink ")) {
		connection->mode = MODE_SINK;
		connection->tail = connection->head;
		sink(connection, connection->buffer + connection->head, rest);
	} else if (numbered(connection, line, "source ")) {
		connection->mode = MODE_SOURCE;
		connection->tail = connection->head;
	} else {
		answer(connection, "error: unknown command");
	}
}

static enum step read_command(struct connection *connection)
{
	char *end = memchr(connection->buffer, '\n', connection->tail);
	char line[LINE_LIMIT];
	size_t length;

	if (!end)
		return connection->tail < LINE_LIMIT ? STEP_WAIT : STEP_OVER;
	length = (size_t)(end - connection->buffer);
	if (length >= LINE_LIMIT)
		return STEP_OVER;
	memcpy(line, connection->buffer, length);
	line[length] = '\0';
	connection->head = length + 1;
	obey(connection, line, connection->tail - connection->head);
	return STEP_MORE;
}

static enum step receive(struct connection *connection)
{
	bool command = connection->mode == MODE_COMMAND;
	size_t used = command ? connection->tail : 0;
	ssize_t count = recv(connection->fd, connection->buffer + used, BUFFER - used, 0);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_OVER;
	if (count == 0)
		return STEP_OVER;
	if (connection->mode == MODE_DISCARD)
		return STEP_MORE;
	if (connection->mode == MODE_SINK) {
		sink(connection, connection->buffer, (size_t)count);
		return STEP_MORE;
	}
	connection->head = 0;
	connection->tail = used + (size_t)count;
	return command ? read_command(connection) : STEP_MORE;
}

static enum step transmit(struct connection *connection)
{
	size_t length = connection->tail - connection->head;
	ssize_t count = send(connection->fd, connection->buffer + connection->head, length, 0);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_OVER;
	connection->head += (size_t)count;
	if (connection->head < connection->tail)
		return STEP_MORE;
	return connection->mode == MODE_ECHO ? STEP_WAIT : STEP_MORE;
}

static enum step produce(struct connection *connection)
{
	size_t length = connection->remaining < BUFFER ? (size_t)connection->remaining : BUFFER;

	if (!length)
		return STEP_OVER;
	pattern_fill(connection->buffer, connection->done, length);
	connection->done += length;
	connection->remaining -= length;
	connection->head = 0;
	connection->tail = length;
	return STEP_MORE;
}

static enum step take_step(struct connection *connection)
{
	if (has_output(connection))
		return transmit(connection);
	if (connection->mode == MODE_FINISH)
		return STEP_OVER;
	if (connection->mode == MODE_SOURCE)
		return produce(connection);
	return receive(connection);
}

/* An echo that was sent whole waits for epoll instead of asking again: one call less a request. */
bool connection_advance(struct connection *connection)
{
	for (int steps = 0; steps < STEPS_A_TURN; steps++) {
		switch (take_step(connection)) {
		case STEP_WAIT:
			return true;
		case STEP_OVER:
			return false;
		case STEP_MORE:
			break;
		}
	}
	return true; /* the others' turn */
}
