/* SPDX-License-Identifier: Apache-2.0 */
/* `udp … stream`: numbered datagrams at a fixed rate, each expected back once. */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "json.h"
#include "pattern.h"
#include "process.h"

#define DATAGRAM_LIMIT 65536
#define HEADER	       12 /* "echo" and the number, 8 bytes in host order */
#define NUMBERS	       (1 << 24) /* datagrams of one run */
#define BURST	       64 /* sent in a row at most, when behind */

struct stream {
	struct client *client;
	uint64_t sent;
	uint64_t received;
	uint64_t duplicates;
	uint64_t damaged;
	uint64_t errors; /* socket errors, mostly ICMP errors that came back */
	int last_error; /* 0 or -errno */
	int64_t last_receipt;
	int64_t max_gap;
};

static uint8_t seen[NUMBERS / 8];

static size_t datagram_length(const struct stream *stream)
{
	uint64_t size = stream->client->options->size;

	return size < HEADER ? HEADER : (size_t)size;
}

static void note_error(struct stream *stream, int error)
{
	if (error == EAGAIN || error == EINTR)
		return;
	stream->errors++;
	stream->last_error = -error;
}

static void send_datagram(struct stream *stream)
{
	static char data[DATAGRAM_LIMIT];
	size_t length = datagram_length(stream);

	pattern_fill(data, stream->sent, length);
	memcpy(data, "echo", 4);
	memcpy(data + 4, &stream->sent, sizeof(stream->sent));
	if (send(stream->client->fd, data, length, 0) < 0)
		note_error(stream, errno);
	stream->sent++;
}

static void note_receipt(struct stream *stream)
{
	int64_t now = clock_ns();

	if (now - stream->last_receipt > stream->max_gap)
		stream->max_gap = now - stream->last_receipt;
	stream->last_receipt = now;
}

/* The number, or NUMBERS when the datagram is not one that was sent. */
static uint64_t datagram_number(const struct stream *stream, const char *data, size_t length)
{
	uint64_t number;

	if (length != datagram_length(stream) || memcmp(data, "echo", 4))
		return NUMBERS;
	memcpy(&number, data + 4, sizeof(number));
	if (number >= stream->sent)
		return NUMBERS;
	if (pattern_differences(data + HEADER, number + HEADER, length - HEADER))
		return NUMBERS;
	return number;
}

static void receive_datagram(struct stream *stream)
{
	static char data[DATAGRAM_LIMIT];
	ssize_t length = recv(stream->client->fd, data, sizeof(data), 0);
	uint64_t number;

	if (length < 0) {
		note_error(stream, errno);
		return;
	}
	number = datagram_number(stream, data, (size_t)length);
	if (number == NUMBERS) {
		stream->damaged++;
		return;
	}
	if (seen[number / 8] & (1 << number % 8)) {
		stream->duplicates++;
		return;
	}
	seen[number / 8] |= (uint8_t)(1 << number % 8);
	stream->received++;
	note_receipt(stream);
}

static void receive_until(struct stream *stream, int64_t until)
{
	struct pollfd poll = {.fd = stream->client->fd, .events = POLLIN};

	if (process_poll(&poll, 1, until) > 0)
		receive_datagram(stream);
}

static void send_at_rate(struct stream *stream)
{
	const struct options *options = stream->client->options;
	int64_t interval = (int64_t)((double)NS_PER_SECOND / options->rate);
	int64_t due = clock_ns();
	int64_t end = due + (int64_t)(options->seconds * NS_PER_SECOND);

	stream->last_receipt = due;
	while (!process_stopped() && clock_ns() < end && stream->sent < NUMBERS - BURST) {
		for (int i = 0; i < BURST && due <= clock_ns(); i++, due += interval)
			send_datagram(stream);
		receive_until(stream, due < end ? due : end);
	}
}

static void receive_rest(struct stream *stream)
{
	int64_t until = clock_ns() + stream->client->options->timeout_ms * NS_PER_MS;

	while (stream->received < stream->sent && clock_ns() < until)
		receive_until(stream, until);
	if (stream->received < stream->sent)
		note_receipt(stream);
}

static int stream_report(const struct stream *stream)
{
	bool ok = stream->sent && stream->received == stream->sent && !stream->damaged;

	client_report(stream->client, ok, stream->last_error);
	json_count("sent", stream->sent);
	json_count("received", stream->received);
	json_count("lost", stream->sent - stream->received);
	json_count("duplicates", stream->duplicates);
	json_count("damaged", stream->damaged);
	json_count("errors", stream->errors);
	json_decimal("maxGapMs", (double)stream->max_gap / NS_PER_MS);
	json_end();
	return ok ? 0 : 1;
}

int stream_run(struct client *client)
{
	struct stream stream = {.client = client};
	int rc = client_open(client);

	process_catch_stop();
	if (rc)
		note_error(&stream, -rc);
	else
		send_at_rate(&stream);
	process_ignore_stop();
	if (!rc)
		receive_rest(&stream);
	return stream_report(&stream);
}
