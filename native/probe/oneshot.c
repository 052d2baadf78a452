/* SPDX-License-Identifier: Apache-2.0 */
/* The clients that ask once: who, sink, source, echo. */
#include "oneshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "pattern.h"
#include "socket.h"

#define CHUNK	     (64 * 1024)
#define DATAGRAM_MAX 65507 /* the most an IPv4 datagram carries */
#define LINE_LIMIT   128

struct oneshot {
	struct client *client;
	uint64_t amount; /* bytes to move */
	uint64_t bytes; /* bytes moved and verified */
	char saw[ADDRESS_TEXT];
};

typedef int (*action_fn)(struct oneshot *oneshot);

static int send_line(struct oneshot *oneshot, const char *line)
{
	return socket_write(oneshot->client->fd, line, strlen(line), oneshot->client->deadline);
}

/* The answer's line without its end: one datagram, or a stream up to the line's end. */
static int read_line(struct oneshot *oneshot, char line[LINE_LIMIT])
{
	size_t length = 0;

	while (length < LINE_LIMIT - 1 && (!length || line[length - 1] != '\n')) {
		ssize_t count = socket_read(oneshot->client->fd, line + length,
					    LINE_LIMIT - 1 - length, oneshot->client->deadline);

		if (count < 0)
			return (int)count;
		if (!count)
			return length ? -EPROTO : -ECONNRESET;
		length += (size_t)count;
	}
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static int ask_who(struct oneshot *oneshot)
{
	char line[LINE_LIMIT], host[LINE_LIMIT];
	union address seen;
	unsigned int port;
	int rc = send_line(oneshot, "who\n");

	if (!rc)
		rc = read_line(oneshot, line);
	if (rc)
		return rc;
	if (sscanf(line, "%127s %u", host, &port) != 2 || port > UINT16_MAX ||
	    !address_parse(&seen, host, (uint16_t)port))
		return -EPROTO;
	address_format(oneshot->saw, &seen);
	return 0;
}

static int send_pattern(struct oneshot *oneshot)
{
	static char chunk[CHUNK];
	int rc = 0;

	while (!rc && oneshot->bytes < oneshot->amount) {
		uint64_t left = oneshot->amount - oneshot->bytes;
		size_t length = left < CHUNK ? (size_t)left : CHUNK;

		pattern_fill(chunk, oneshot->bytes, length);
		rc = socket_write(oneshot->client->fd, chunk, length, oneshot->client->deadline);
		oneshot->bytes += length;
	}
	return rc;
}

static int do_sink(struct oneshot *oneshot)
{
	char line[LINE_LIMIT], expected[LINE_LIMIT];
	int rc;

	snprintf(line, sizeof(line), "sink %" PRIu64 "\n", oneshot->amount);
	rc = send_line(oneshot, line);
	if (!rc)
		rc = send_pattern(oneshot);
	if (!rc)
		rc = read_line(oneshot, line);
	if (rc)
		return rc;
	snprintf(expected, sizeof(expected), "%" PRIu64 " %016" PRIx64, oneshot->amount,
		 pattern_checksum(oneshot->amount));
	return strcmp(line, expected) ? -EBADMSG : 0;
}

static int do_source(struct oneshot *oneshot)
{
	static char chunk[CHUNK];
	char line[LINE_LIMIT];
	int rc;

	snprintf(line, sizeof(line), "source %" PRIu64 "\n", oneshot->amount);
	rc = send_line(oneshot, line);
	while (!rc && oneshot->bytes < oneshot->amount) {
		ssize_t count = socket_read(oneshot->client->fd, chunk, sizeof(chunk),
					    oneshot->client->deadline);

		if (count <= 0)
			return count ? (int)count : -ECONNRESET;
		if (pattern_differences(chunk, oneshot->bytes, (size_t)count))
			rc = -EBADMSG;
		oneshot->bytes += (uint64_t)count;
	}
	return rc;
}

static int echo_datagram(struct oneshot *oneshot)
{
	static char sent[CHUNK], received[CHUNK];
	size_t length = (size_t)oneshot->amount;
	ssize_t count;
	int rc;

	pattern_fill(sent, 0, length);
	memcpy(sent, "echo", 4);
	rc = socket_write(oneshot->client->fd, sent, length, oneshot->client->deadline);
	if (rc)
		return rc;
	count = socket_read(oneshot->client->fd, received, sizeof(received),
			    oneshot->client->deadline);
	if (count < 0)
		return (int)count;
	oneshot->bytes = (uint64_t)count;
	return (size_t)count == length && !memcmp(sent, received, length) ? 0 : -EBADMSG;
}

static action_fn find_action(const struct client *client, const char *name)
{
	bool tcp = client->type == SOCK_STREAM;

	if (!strcmp(name, "who"))
		return ask_who;
	if (tcp && !strcmp(name, "sink"))
		return do_sink;
	if (tcp && !strcmp(name, "source"))
		return do_source;
	if (!tcp && !strcmp(name, "echo"))
		return echo_datagram;
	options_usage();
}

static uint64_t find_amount(const struct client *client, action_fn action)
{
	uint64_t limit = action == echo_datagram ? DATAGRAM_MAX : INT64_MAX;
	uint64_t amount;

	if (action == ask_who)
		return 0;
	if (client->options->word_count < 5)
		options_usage();
	amount = options_number(client->options->words[3], client->options->words[4], limit);
	return action == echo_datagram && amount < 4 ? 4 : amount;
}

int oneshot_run(struct client *client)
{
	action_fn action = find_action(client, client->options->words[3]);
	struct oneshot oneshot = {.client = client, .amount = find_amount(client, action)};
	int rc = client_open(client);

	if (!rc)
		rc = action(&oneshot);
	client_report(client, !rc, rc);
	json_text("saw", oneshot.saw);
	if (action != ask_who)
		json_count("bytes", oneshot.bytes);
	json_end();
	return rc ? 1 : 0;
}
