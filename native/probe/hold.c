/* SPDX-License-Identifier: Apache-2.0 */
/* Long TCP clients over an echo: numbered messages at a rate, and one big transfer. */
#include "hold.h"

#include "clock.h"
#include "echo.h"
#include "json.h"
#include "process.h"

#include <errno.h>

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Message i is due at start + i * interval; late ones are caught up with, none is left out. */
static int send_at_rate(struct echo *echo)
{
	const struct options *options = echo->client->options;
	int64_t interval = (int64_t)((double)NS_PER_SECOND / options->rate);
	int64_t due = clock_ns();
	int64_t end = due + (int64_t)(options->seconds * NS_PER_SECOND);
	int rc = 0;

	while (!rc && !process_stopped() && clock_ns() < end) {
		for (; due <= clock_ns(); due += interval)
			echo->queued += options->size;
		rc = echo_advance(echo, earlier(due, end));
	}
	return rc;
}

/* After SIGTERM, too, what is under way may still come back: that is what clean means. */
static int receive_rest(struct echo *echo)
{
	int64_t timeout = echo->client->options->timeout_ms * NS_PER_MS;
	int rc = 0;

	while (!rc && echo->received < echo->queued) {
		if (clock_ns() > echo->last_receipt + timeout)
			return -ETIMEDOUT;
		rc = echo_advance(echo, echo->last_receipt + timeout);
	}
	return rc;
}

static int hold_report(const struct echo *echo, int rc)
{
	uint64_t size = echo->client->options->size;
	bool ok = !rc && !echo->differences;

	client_report(echo->client, ok, rc);
	json_count("sent", echo->queued / size);
	json_count("received", echo->received / size);
	json_count("bytes", echo->received);
	json_decimal("maxGapMs", (double)echo->max_gap / NS_PER_MS);
	json_count("errors", echo->differences + (rc ? 1 : 0));
	json_end();
	return ok ? 0 : 1;
}

int hold_run(struct client *client)
{
	struct echo echo;
	int rc;

	if (!client->options->size)
		options_usage();
	process_catch_stop();
	rc = echo_open(&echo, client);
	if (!rc)
		rc = send_at_rate(&echo);
	process_ignore_stop();
	if (!rc)
		rc = receive_rest(&echo);
	echo_finish(&echo);
	return hold_report(&echo, rc);
}

static int transfer_report(const struct echo *echo, int rc)
{
	bool ok = !rc && !echo->differences;
	double seconds = (double)(clock_ns() - echo->client->started) / NS_PER_SECOND;

	client_report(echo->client, ok, rc);
	json_count("sent", echo->written);
	json_count("bytes", echo->received);
	json_count("errors", echo->differences + (rc ? 1 : 0));
	json_decimal("maxGapMs", (double)echo->max_gap / NS_PER_MS);
	json_decimal("megabitsPerSecond", (double)echo->received * 8 / 1e6 / seconds);
	json_end();
	return ok ? 0 : 1;
}

int transfer_run(struct client *client)
{
	struct echo echo;
	int rc = echo_open(&echo, client);

	if (!rc) {
		echo.queued = client->options->bytes;
		rc = receive_rest(&echo);
	}
	echo_finish(&echo);
	return transfer_report(&echo, rc);
}
