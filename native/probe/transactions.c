/* SPDX-License-Identifier: Apache-2.0 */
/* How long transactions take: in a row, many at once, at a rate, or each of a new flow. */
#include "transactions.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "process.h"

#define WARM_UP 100 /* requests of an old flow before those of new ones */

typedef int (*transaction_fn)(struct bench *bench);

static int request_response(struct bench *bench)
{
	int rc = measurement_send(bench->fd, ".");

	return rc ? rc : measurement_receive_byte(bench->fd);
}

/* Connection, request, response, close; who closes first keeps the port in TIME_WAIT. */
static int connect_request_response(struct bench *bench)
{
	bool server_closes = bench->options->server_closes;
	int fd = measurement_open(bench, bench->options, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = measurement_send(fd, server_closes ? "crr close\n" : "crr\n");
	if (!rc)
		rc = measurement_receive_byte(fd);
	if (!rc && server_closes && measurement_receive_byte(fd) != -ECONNRESET)
		rc = -EPROTO;
	close(fd);
	return rc;
}

/* Answers to requests that were given up are skipped. */
static int udp_request_response(struct bench *bench)
{
	char request[12] = "echo", answer[64];
	uint64_t number = ++bench->number;

	memcpy(request + 4, &number, sizeof(number));
	if (send(bench->fd, request, sizeof(request), 0) < 0)
		return -errno;
	do {
		if (recv(bench->fd, answer, sizeof(answer), 0) < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
	} while (memcmp(answer, request, sizeof(request)));
	return 0;
}

static void repeat(struct bench *bench, transaction_fn transaction)
{
	int64_t start = clock_ns();
	int64_t end = measurement_end(bench, start);
	int64_t before = start;

	while (before < end && bench->errors_in_a_row < ERRORS_IN_A_ROW && !process_stopped()) {
		int rc = transaction(bench);
		int64_t after = clock_ns();

		measurement_note(bench, rc, after - before);
		before = after;
	}
	bench->elapsed = before - start;
}

/*
 * One request every interval. Its time begins when it was due: what holds up the sender holds up
 * the packet, and those that had to wait behind a late one are late too.
 */
static void repeat_at_rate(struct bench *bench, transaction_fn transaction)
{
	int64_t interval = (int64_t)((double)NS_PER_SECOND / bench->options->rate);
	int64_t start = clock_ns();
	int64_t end = measurement_end(bench, start);

	process_catch_stop();
	for (int64_t due = start;
	     due < end && bench->errors_in_a_row < ERRORS_IN_A_ROW && !process_stopped();
	     due += interval) {
		int64_t sent, answered;
		int rc;

		process_poll(NULL, 0, due);
		sent = clock_ns();
		rc = transaction(bench);
		answered = clock_ns();
		measurement_note(bench, rc, answered - due);
		if (!rc && answered - sent > bench->longest)
			bench->longest = answered - sent;
	}
	bench->elapsed = clock_ns() - start;
}

/*
 * A request on each connection, then their answers: so many are under way. The time of one is
 * from its own request to its own answer.
 */
static void repeat_together(struct bench *bench)
{
	static int64_t sent[FLOWS_MAX];
	int64_t start = clock_ns();
	int64_t end = measurement_end(bench, start);

	while (clock_ns() < end && !bench->errors && !process_stopped()) {
		for (uint64_t i = 0; i < bench->flows && !bench->errors; i++) {
			int rc;

			sent[i] = clock_ns();
			rc = measurement_send(bench->fds[i], ".");
			if (rc)
				measurement_note(bench, rc, 0);
		}
		for (uint64_t i = 0; i < bench->flows && !bench->errors; i++) {
			int rc = measurement_receive_byte(bench->fds[i]);

			measurement_note(bench, rc, clock_ns() - sent[i]);
		}
	}
	bench->elapsed = clock_ns() - start;
}

/* The first transaction of a flow; to open the socket is not part of it. */
static void note_first(struct bench *bench, transaction_fn transaction, uint64_t number)
{
	struct options options = *bench->options;
	int64_t sent;
	int rc;

	options.source_port = (uint16_t)(options.source_port + number);
	rc = bench->fd = measurement_open(bench, &options, SOCK_DGRAM);
	sent = clock_ns();
	if (rc >= 0)
		rc = transaction(bench);
	measurement_note(bench, rc, clock_ns() - sent);
	if (bench->fd >= 0)
		close(bench->fd);
	bench->fd = -1;
}

/*
 * Each from the next port, behind that of the socket which is open already: with it the way is
 * warmed up, so that what is new is the flow.
 */
static void repeat_first(struct bench *bench, transaction_fn transaction)
{
	int64_t start, end;

	for (int i = 0; i < WARM_UP && !bench->errors; i++) {
		int rc = transaction(bench);

		if (rc)
			measurement_note(bench, rc, 0);
	}
	close(bench->fd);
	start = clock_ns();
	end = measurement_end(bench, start);
	for (uint64_t number = 1; number <= bench->options->count && clock_ns() < end &&
				  bench->errors_in_a_row < ERRORS_IN_A_ROW && !process_stopped();
	     number++)
		note_first(bench, transaction, number);
	bench->elapsed = clock_ns() - start;
}

static void repeat_or_together(struct bench *bench, transaction_fn transaction)
{
	if (bench->flows > 1)
		repeat_together(bench);
	else
		repeat(bench, transaction);
}

static const struct {
	const char *name;
	void (*measure)(struct bench *bench, transaction_fn transaction);
	transaction_fn transaction;
} tests[] = {
	{"rr", repeat_or_together, request_response},
	{"crr", repeat, connect_request_response},
	{"udp_rr", repeat, udp_request_response},
	{"udp_first", repeat_first, udp_request_response},
	{"rr_rate", repeat_at_rate, request_response},
	{"crr_rate", repeat_at_rate, connect_request_response},
	{"udp_rate", repeat_at_rate, udp_request_response},
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

bool transactions_known(const char *name)
{
	for (unsigned int i = 0; i < TESTS; i++) {
		if (!strcmp(name, tests[i].name))
			return true;
	}
	return false;
}

void transactions_measure(struct bench *bench)
{
	for (unsigned int i = 0; i < TESTS; i++) {
		if (!strcmp(bench->name, tests[i].name))
			tests[i].measure(bench, tests[i].transaction);
	}
}
