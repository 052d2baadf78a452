/* SPDX-License-Identifier: Apache-2.0 */
/* `fragments`: numbered datagrams, cut and ordered as asked, each expected back whole. */
#include "fragments.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "pattern.h"
#include "process.h"
#include "raw.h"
#include "socket.h"

#define TRANSPORT	 8 /* bytes of a UDP or ICMP header */
#define STAMP		 12 /* "echo" and the number, 8 bytes in host order */
#define NUMBERS		 (1 << 22)
#define IPV4_BYTES	 20
#define ICMP4_ECHO_REPLY 0
#define ICMP6_ECHO_REPLY 129

struct run {
	const struct options *options;
	struct raw raw;
	enum order order;
	uint32_t first; /* identification */
	int fd; /* where the echo comes */
	uint64_t sent;
	uint64_t fragments;
	uint64_t received;
	uint64_t duplicates;
	uint64_t damaged;
	uint64_t refused; /* ICMP errors about them */
	int error; /* 0 or -errno, of the last fragment that could not be sent */
};

static uint8_t seen[NUMBERS / 8];
static uint8_t expected[RAW_SEGMENT_MAX];

static void write_payload(uint8_t *payload, uint64_t number, size_t length)
{
	pattern_fill(payload, number, length);
	memcpy(payload, "echo", 4);
	memcpy(payload + 4, &number, sizeof(number));
}

static void note_echo(struct run *run, const uint8_t *payload, size_t length)
{
	uint64_t number = UINT64_MAX;

	if (length == run->options->size)
		memcpy(&number, payload + 4, sizeof(number));
	if (number >= run->sent || number >= NUMBERS) {
		run->damaged++;
		return;
	}
	write_payload(expected, number, length);
	if (memcmp(expected, payload, length)) {
		run->damaged++;
	} else if (seen[number / 8] & 1 << number % 8) {
		run->duplicates++;
	} else {
		seen[number / 8] |= (uint8_t)(1 << number % 8);
		run->received++;
	}
}

/* A raw IPv4 socket shows the IP header too; every raw socket sees all of the host's ICMP. */
static void note_icmp(struct run *run, const uint8_t *bytes, size_t length)
{
	bool ipv4 = run->raw.source.any.sa_family == AF_INET;
	size_t skip = ipv4 ? IPV4_BYTES : 0;

	if (length < skip + TRANSPORT)
		return;
	bytes += skip;
	if (bytes[0] != (ipv4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY) ||
	    memcmp(bytes + 4, &run->raw.source.ipv4.sin_port, 2))
		return;
	note_echo(run, bytes + TRANSPORT, length - skip - TRANSPORT);
}

static void receive(struct run *run)
{
	static uint8_t bytes[RAW_SEGMENT_MAX + IPV4_BYTES];
	ssize_t length;

	while ((length = recv(run->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
		if (run->raw.protocol == IPPROTO_UDP)
			note_echo(run, bytes, (size_t)length);
		else
			note_icmp(run, bytes, (size_t)length);
	}
	/* What routers and hosts refused; while it waits to be read, poll() does not. */
	while (recv(run->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_ERRQUEUE) >= 0)
		run->refused++;
}

static void receive_until(struct run *run, int64_t until)
{
	struct pollfd poll = {.fd = run->fd, .events = POLLIN};

	do
		receive(run);
	while (run->received < run->sent && clock_ns() < until && process_poll(&poll, 1, until));
}

static void make(struct run *run, struct segment *segment)
{
	uint64_t number = run->sent++;

	segment->length = TRANSPORT + run->options->size;
	/* One after the other, as kernels count: 16 bits chosen blindly would meet again soon. */
	segment->identification =
		run->order == ORDER_BOGUS ? (uint32_t)rand() : run->first + (uint32_t)number;
	if (run->order == ORDER_BOGUS)
		return; /* what is in it does not matter */
	write_payload(segment->bytes + TRANSPORT, number, run->options->size);
	if (run->raw.protocol == IPPROTO_UDP)
		raw_udp(&run->raw, segment);
	else
		raw_echo(&run->raw, segment, (uint16_t)number);
}

static void send_piece(struct run *run, const struct segment *segment, const struct piece *piece)
{
	int rc = raw_send(&run->raw, segment, piece);

	run->fragments++;
	if (rc)
		run->error = rc;
}

static void send_next(struct run *run)
{
	static struct segment one, other;
	static struct pieces pieces;

	make(run, &one);
	pieces_cut(&pieces, run->order, one.length, run->options->fragment);
	if (run->order == ORDER_INTERLEAVED)
		make(run, &other);
	for (size_t i = 0; i < pieces.count; i++) {
		send_piece(run, &one, &pieces.list[i]);
		if (run->order == ORDER_INTERLEAVED)
			send_piece(run, &other, &pieces.list[i]);
	}
}

static void send_all(struct run *run)
{
	int64_t started = clock_ns();
	int64_t step = (int64_t)(NS_PER_SECOND / run->options->rate);

	while (run->sent < run->options->count && !process_stopped()) {
		int64_t due = started + (int64_t)run->sent * step;

		if (due > clock_ns() + NS_PER_MS)
			process_poll(NULL, 0, due);
		send_next(run);
		receive(run);
	}
}

/* Connected, so that its own end is known; nothing is sent by it. */
static int open_udp(struct run *run, const struct options *options)
{
	socklen_t length = sizeof(run->raw.source);
	int buffer = 16 << 20;
	int rc;

	run->fd = socket_open(options, SOCK_DGRAM, &run->raw.destination);
	if (run->fd < 0)
		return run->fd;
	setsockopt(run->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	rc = connect(run->fd, &run->raw.destination.any, address_length(&run->raw.destination));
	return rc || getsockname(run->fd, &run->raw.source.any, &length) ? -errno : 0;
}

/* The same socket says the source; the answers come to a raw one. */
static int open_icmp(struct run *run, const struct options *options)
{
	bool ipv4 = run->raw.destination.any.sa_family == AF_INET;
	int buffer = 16 << 20;
	int rc = open_udp(run, options);

	if (rc)
		return rc;
	run->raw.protocol = ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	run->fd = socket(run->raw.destination.any.sa_family, SOCK_RAW | SOCK_CLOEXEC,
			 run->raw.protocol);
	setsockopt(run->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	return run->fd < 0 ? -errno : 0;
}

/* Nobody answers, so the source may be anybody's. */
static int open_bogus(struct run *run, const struct options *options)
{
	if (!options->bind || !address_parse(&run->raw.source, options->bind, options->source_port))
		return open_udp(run, options);
	run->fd = -1;
	return 0;
}

static int open_all(struct run *run, bool icmp)
{
	int rc;

	run->raw.protocol = IPPROTO_UDP;
	if (run->order == ORDER_BOGUS)
		rc = open_bogus(run, run->options);
	else
		rc = icmp ? open_icmp(run, run->options) : open_udp(run, run->options);
	return rc ? rc : raw_open(&run->raw);
}

static int report(struct run *run, int64_t started)
{
	bool ok = run->received == run->sent && !run->damaged;

	json_begin(ok);
	json_error(-run->error);
	json_count("sent", run->sent);
	json_count("fragments", run->fragments);
	json_count("received", run->received);
	json_count("duplicates", run->duplicates);
	json_count("damaged", run->damaged);
	json_count("refused", run->refused);
	json_decimal("ms", (double)(clock_ns() - started) / NS_PER_MS);
	json_end();
	return ok ? 0 : 1;
}

int fragments_run(const struct options *options)
{
	static struct run run;
	int64_t started = clock_ns();
	uint16_t port;

	if (options->word_count != 4 || !order_parse(&run.order, options->order) ||
	    options->size < STAMP || options->count > NUMBERS || options->fragment % 8 ||
	    !options->fragment || options->size > options->fragment * (PIECES_MAX / 4))
		options_usage();
	port = (uint16_t)options_number("PORT", options->words[3], UINT16_MAX);
	if (!address_parse(&run.raw.destination, options->words[2], port))
		options_usage();
	run.options = options;
	srand((unsigned int)started);
	run.first = (uint32_t)rand();
	process_catch_stop();
	run.error = open_all(&run, !strcmp(options->words[1], "icmp"));
	if (!run.error) {
		send_all(&run);
		receive_until(&run, run.order == ORDER_BOGUS
					    ? 0
					    : clock_ns() + options->timeout_ms * NS_PER_MS);
	}
	return report(&run, started);
}
