/* SPDX-License-Identifier: Apache-2.0 */
/* `tcp` and `udp`: which client command it is, and what all of them share. */
#include "client.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fill.h"
#include "hold.h"
#include "json.h"
#include "oneshot.h"
#include "socket.h"
#include "stream.h"

int client_open(struct client *client)
{
	client->fd = socket_open(client->options, client->type, &client->peer);
	if (client->fd < 0)
		return client->fd;
	return socket_connect(client->fd, &client->peer, client->deadline);
}

static void report_local(const struct client *client)
{
	char text[ADDRESS_TEXT];
	union address local = {0};
	socklen_t length = sizeof(local);

	if (client->fd < 0 || getsockname(client->fd, &local.any, &length))
		return;
	address_format(text, &local);
	json_text("local", text);
}

void client_report(const struct client *client, bool ok, int rc)
{
	char text[ADDRESS_TEXT];

	json_begin(ok);
	report_local(client);
	address_format(text, &client->peer);
	json_text("peer", text);
	json_error(-rc);
	json_decimal("ms", (double)(clock_ns() - client->started) / NS_PER_MS);
}

static int run_action(struct client *client, const char *action)
{
	bool tcp = client->type == SOCK_STREAM;

	if (tcp && !strcmp(action, "hold"))
		return hold_run(client);
	if (tcp && !strcmp(action, "transfer"))
		return transfer_run(client);
	if (tcp && !strcmp(action, "fill"))
		return fill_run(client);
	if (!tcp && !strcmp(action, "stream"))
		return stream_run(client);
	return oneshot_run(client);
}

int client_run(const struct options *options)
{
	struct client client = {
		.options = options,
		.type = strcmp(options->words[0], "tcp") ? SOCK_DGRAM : SOCK_STREAM,
		.fd = -1,
		.started = clock_ns(),
	};
	uint16_t port;

	if (options->word_count < 4)
		options_usage();
	port = (uint16_t)options_number("PORT", options->words[2], UINT16_MAX);
	if (!address_parse(&client.peer, options->words[1], port))
		options_usage();
	client.deadline = client.started + options->timeout_ms * NS_PER_MS;
	return run_action(&client, options->words[3]);
}
