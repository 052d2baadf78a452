/* SPDX-License-Identifier: Apache-2.0 */
/* `bench`: how long a transaction takes, or how many bytes pass. */
#include "bench.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "counters.h"
#include "histogram.h"
#include "json.h"
#include "process.h"
#include "socket.h"

#define CHUNK		(128 * 1024)
#define ERRORS_IN_A_ROW 10 /* then the peer is taken to be away */
#define WARM_UP		100 /* requests of an old flow before those of new ones */

struct bench {
	const struct options *options;
	union address peer;
	const char *name;
	int fd; /* the first of fds; -1 for crr and crr_rate, which open one a transaction */
	int fds[FLOWS_MAX];
	uint64_t flows; /* open ones */
	uint64_t bytes;
	uint64_t errors;
	uint64_t errors_in_a_row;
	int last_error; /* 0 or -errno */
	uint64_t number; /* of the last UDP request */
	int64_t elapsed;
	int64_t longest; /* of those at a rate: from sent to answered */
	struct histogram times; /* nanoseconds */
};

typedef int (*transaction_fn)(struct bench *bench);

static int open_from(struct bench *bench, const struct options *options, int type)
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

static int open_socket(struct bench *bench, int type)
{
	return open_from(bench, bench->options, type);
}

static int send_all(int fd, const char *text)
{
	return send(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

/* One byte, or -errno; the end of the stream is -ECONNRESET. */
static int receive_byte(int fd)
{
	char byte;
	ssize_t count = recv(fd, &byte, 1, 0);

	if (count < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return count ? 0 : -ECONNRESET;
}

static int request_response(struct bench *bench)
{
	int rc = send_all(bench->fd, ".");

	return rc ? rc : receive_byte(bench->fd);
}

/* Connection, request, response, close; who closes first keeps the port in TIME_WAIT. */
static int connect_request_response(struct bench *bench)
{
	bool server_closes = bench->options->server_closes;
	int fd = open_socket(bench, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = send_all(fd, server_closes ? "crr close\n" : "crr\n");
	if (!rc)
		rc = receive_byte(fd);
	if (!rc && server_closes && receive_byte(fd) != -ECONNRESET)
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

static void note_result(struct bench *bench, int rc, int64_t time)
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

static void repeat(struct bench *bench, transaction_fn transaction)
{
	int64_t start = clock_ns();
	int64_t end = start + (int64_t)(bench->options->seconds * NS_PER_SECOND);
	int64_t before = start;

	while (before < end && bench->errors_in_a_row < ERRORS_IN_A_ROW && !process_stopped()) {
		int rc = transaction(bench);
		int64_t after = clock_ns();

		note_result(bench, rc, after - before);
		before = after;
	}
	bench->elapsed = before - start;
}

static void sleep_until(int64_t time)
{
	struct timespec until = {time / NS_PER_SECOND, time % NS_PER_SECOND};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/*
 * One request every interval. Its time begins when it was due: what holds up the sender holds up
 * the packet, and those that had to wait behind a late one are late too.
 */
static void repeat_at_rate(struct bench *bench, transaction_fn transaction)
{
	int64_t interval = (int64_t)((double)NS_PER_SECOND / bench->options->rate);
	int64_t start = clock_ns();
	int64_t end = start + (int64_t)(bench->options->seconds * NS_PER_SECOND);

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
		note_result(bench, rc, answered - due);
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
	int64_t end = start + (int64_t)(bench->options->seconds * NS_PER_SECOND);

	while (clock_ns() < end && !bench->errors && !process_stopped()) {
		for (uint64_t i = 0; i < bench->flows && !bench->errors; i++) {
			int rc;

			sent[i] = clock_ns();
			rc = send_all(bench->fds[i], ".");
			if (rc)
				note_result(bench, rc, 0);
		}
		for (uint64_t i = 0; i < bench->flows && !bench->errors; i++) {
			int rc = receive_byte(bench->fds[i]);

			note_result(bench, rc, clock_ns() - sent[i]);
		}
	}
	bench->elapsed = clock_ns() - start;
}

/* The first datagram of a flow and its answer; to open the socket is not part of it. */
static void first_request(struct bench *bench, uint64_t number)
{
	struct options options = *bench->options;
	int64_t sent;
	int rc;

	options.source_port = (uint16_t)(options.source_port + number);
	rc = bench->fd = open_from(bench, &options, SOCK_DGRAM);
	sent = clock_ns();
	if (rc >= 0)
		rc = udp_request_response(bench);
	note_result(bench, rc, clock_ns() - sent);
	if (bench->fd >= 0)
		close(bench->fd);
	bench->fd = -1;
}

/* After a warm-up, so that what is new is the flow and not the way: each from the next port. */
static void repeat_first(struct bench *bench)
{
	int64_t start, end;

	for (int i = 0; i < WARM_UP && !bench->errors; i++) {
		int rc = udp_request_response(bench);

		if (rc)
			note_result(bench, rc, 0);
	}
	close(bench->fd);
	start = clock_ns();
	end = start + (int64_t)(bench->options->seconds * NS_PER_SECOND);
	for (uint64_t i = 0; i < bench->options->count && clock_ns() < end &&
			     bench->errors_in_a_row < ERRORS_IN_A_ROW && !process_stopped();
	     i++)
		first_request(bench, i);
	bench->elapsed = clock_ns() - start;
}

/* What waits in our kernel, of all flows together. */
static uint64_t count_waiting(const struct bench *bench)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < bench->flows; i++) {
		int waiting = 0;

		ioctl(bench->fds[i], SIOCOUTQ, &waiting);
		sum += (uint64_t)waiting;
	}
	return sum;
}

/* Counts what the peer's kernel acknowledged. Flows have their turns, a chunk each. */
static void stream(struct bench *bench)
{
	static char chunk[CHUNK];
	int64_t start = clock_ns();
	int64_t end = start + (int64_t)(bench->options->seconds * NS_PER_SECOND);

	for (uint64_t turn = 0; clock_ns() < end && !bench->errors; turn++) {
		ssize_t count = send(bench->fds[turn % bench->flows], chunk, sizeof(chunk), 0);

		if (count < 0)
			note_result(bench, -errno, 0);
		else
			bench->bytes += (uint64_t)count;
	}
	bench->bytes -= count_waiting(bench);
	bench->elapsed = clock_ns() - start;
}

static void report_times(const struct histogram *times)
{
	double count = times->count ? (double)times->count : 1;

	json_decimal("mean", (double)times->sum / count / 1e3);
	json_decimal("p50", (double)histogram_quantile(times, 0.50) / 1e3);
	json_decimal("p90", (double)histogram_quantile(times, 0.90) / 1e3);
	json_decimal("p99", (double)histogram_quantile(times, 0.99) / 1e3);
	json_decimal("p999", (double)histogram_quantile(times, 0.999) / 1e3);
	json_decimal("min", (double)times->min / 1e3);
	json_decimal("max", (double)times->max / 1e3);
}

static void report_connection(const struct bench *bench)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	if (bench->fd < 0 || getsockopt(bench->fd, IPPROTO_TCP, TCP_INFO, &info, &length))
		return;
	json_count("connectionRetransmits", info.tcpi_total_retrans);
	json_decimal("rtt", info.tcpi_rtt);
}

/* 0 when no time has passed: what was never begun has no rate. */
static double per_second(uint64_t amount, int64_t elapsed)
{
	return elapsed ? (double)amount * NS_PER_SECOND / (double)elapsed : 0;
}

static int report(const struct bench *bench, const struct counters *before)
{
	bool is_stream = !strcmp(bench->name, "stream");
	bool ok = !bench->errors && (is_stream ? bench->bytes : bench->times.count);
	struct counters after;

	counters_read(&after);
	json_begin(ok);
	json_text("test", bench->name);
	json_error(-bench->last_error);
	json_decimal("seconds", (double)bench->elapsed / NS_PER_SECOND);
	json_count("errors", bench->errors);
	if (is_stream) {
		json_count("bytes", bench->bytes);
		json_decimal("megabitsPerSecond",
			     per_second(bench->bytes, bench->elapsed) * 8 / 1e6);
	} else {
		json_count("count", bench->times.count);
		json_decimal("perSecond", per_second(bench->times.count, bench->elapsed));
		report_times(&bench->times);
	}
	if (bench->longest)
		json_decimal("longestRoundTrip", (double)bench->longest / 1e3);
	report_connection(bench);
	json_count("retransmits", after.retransmits - before->retransmits);
	json_count("synRetransmits", after.syn_retransmits - before->syn_retransmits);
	json_count("resetsSent", after.resets_sent - before->resets_sent);
	json_count("connectionsReset", after.connections_reset - before->connections_reset);
	json_end();
	return ok ? 0 : 1;
}

/* One more connection or socket, whose server knows which test it is. */
static int open_flow(struct bench *bench)
{
	bool udp = !strncmp(bench->name, "udp", 3);
	int fd = open_socket(bench, udp ? SOCK_DGRAM : SOCK_STREAM);

	if (fd < 0)
		return fd;
	bench->fds[bench->flows++] = fd;
	if (udp)
		return 0;
	return send_all(fd, strncmp(bench->name, "rr", 2) ? "discard\n" : "rr\n");
}

/* Opens what lasts for the whole test. */
static int prepare(struct bench *bench)
{
	int rc = 0;

	bench->fd = -1;
	if (!strncmp(bench->name, "crr", 3))
		return 0;
	while (!rc && bench->flows < bench->options->flows)
		rc = open_flow(bench);
	if (bench->flows)
		bench->fd = bench->fds[0];
	return rc;
}

static void measure(struct bench *bench)
{
	if (!strcmp(bench->name, "rr") && bench->flows > 1)
		repeat_together(bench);
	else if (!strcmp(bench->name, "rr"))
		repeat(bench, request_response);
	else if (!strcmp(bench->name, "crr"))
		repeat(bench, connect_request_response);
	else if (!strcmp(bench->name, "udp_rr"))
		repeat(bench, udp_request_response);
	else if (!strcmp(bench->name, "udp_first"))
		repeat_first(bench);
	else if (!strcmp(bench->name, "rr_rate"))
		repeat_at_rate(bench, request_response);
	else if (!strcmp(bench->name, "crr_rate"))
		repeat_at_rate(bench, connect_request_response);
	else if (!strcmp(bench->name, "udp_rate"))
		repeat_at_rate(bench, udp_request_response);
	else
		stream(bench);
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names))
		names++;
	return *names;
}

static void check(const struct bench *bench)
{
	static const char *const names[] = {"rr",	"crr",	    "udp_rr",	"udp_first", "rr_rate",
					    "crr_rate", "udp_rate", "stream",	NULL};
	static const char *const parallel[] = {"rr", "stream", NULL};
	uint64_t flows = bench->options->flows;

	if (!is_one_of(bench->name, names))
		options_usage();
	if (!flows || (flows > 1 && !is_one_of(bench->name, parallel)))
		options_usage();
	if (!strcmp(bench->name, "udp_first") && !bench->options->source_port)
		options_usage();
}

int bench_run(const struct options *options)
{
	static struct bench bench; /* the histogram is too large for the stack's taste */
	struct counters before;
	int rc;

	if (options->word_count < 4)
		options_usage();
	bench.options = options;
	bench.name = options->words[1];
	check(&bench);
	if (!address_parse(&bench.peer, options->words[2],
			   (uint16_t)options_number("PORT", options->words[3], UINT16_MAX)))
		options_usage();
	counters_read(&before);
	rc = prepare(&bench);
	sleep_until(options->start);
	if (rc)
		note_result(&bench, rc, 0);
	else
		measure(&bench);
	return report(&bench, &before);
}
