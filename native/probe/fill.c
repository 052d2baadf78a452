/* SPDX-License-Identifier: Apache-2.0 */
/* `tcp … fill`: as many connections as can be opened at the same time. */
#include "fill.h"

#include <stdio.h>
#include <sys/resource.h>

#include "clock.h"
#include "json.h"
#include "process.h"

static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void hold(const struct options *options)
{
	int64_t end = clock_ns() + (int64_t)(options->seconds * NS_PER_SECOND);

	while (!process_stopped() && clock_ns() < end)
		process_poll(NULL, 0, end);
}

/* The sockets stay open until the process ends: that is the point. */
int fill_run(struct client *client)
{
	const struct options *options = client->options;
	uint64_t opened = 0;
	int64_t began = 0;
	int rc = 0;

	raise_limit();
	process_catch_stop();
	while (!rc && opened < options->count && !process_stopped()) {
		began = clock_ns();
		client->deadline = began + options->timeout_ms * NS_PER_MS;
		rc = client_open(client);
		if (!rc)
			opened++;
	}
	client_report(client, !rc, rc);
	json_count("opened", opened);
	json_decimal("lastMs", (double)(clock_ns() - began) / NS_PER_MS);
	json_end();
	fflush(stdout);
	hold(options);
	return rc ? 1 : 0;
}
