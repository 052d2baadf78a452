/* SPDX-License-Identifier: Apache-2.0 */
/* `bench`: how long a transaction takes, or how many bytes pass. */
#include "bench.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bulk.h"
#include "clock.h"
#include "counters.h"
#include "json.h"
#include "transactions.h"

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
	int fd = measurement_open(bench, bench->options, udp ? SOCK_DGRAM : SOCK_STREAM);

	if (fd < 0)
		return fd;
	bench->fds[bench->flows++] = fd;
	if (udp)
		return 0;
	return measurement_send(fd, strncmp(bench->name, "rr", 2) ? "discard\n" : "rr\n");
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

static void sleep_until(int64_t time)
{
	struct timespec until = {time / NS_PER_SECOND, time % NS_PER_SECOND};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void check(const struct bench *bench)
{
	bool stream = !strcmp(bench->name, "stream");
	uint64_t flows = bench->options->flows;

	if (!stream && !transactions_known(bench->name))
		options_usage();
	if (!flows || (flows > 1 && !stream && strcmp(bench->name, "rr")))
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
		measurement_note(&bench, rc, 0);
	else if (!strcmp(bench.name, "stream"))
		bulk_measure(&bench);
	else
		transactions_measure(&bench);
	return report(&bench, &before);
}
