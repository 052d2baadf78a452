/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: words and options in any order. */
#ifndef PROBE_OPTIONS_H
#define PROBE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define FLOWS_MAX 1024

struct options {
	const char *netns; /* path of the network namespace to enter */
	const char *bind; /* local address; every address when NULL */
	const char *congestion; /* TCP congestion control, the kernel's choice when NULL */
	uint16_t port;
	uint16_t source_port; /* 0: any */
	int64_t timeout_ms;
	double seconds;
	double rate; /* messages a second */
	int64_t start; /* when to begin, nanoseconds of the monotonic clock; 0: at once */
	uint64_t bytes;
	uint64_t size; /* of one message, bytes */
	uint64_t count; /* of datagrams, connections or flows */
	uint64_t flows; /* connections at the same time */
	uint64_t fragment; /* bytes of payload in one, a multiple of 8 */
	const char *order; /* of fragments */
	int cpu; /* -1: any */
	bool fifo;
	bool server_closes;
	bool die_with_parent;
	char **words; /* what is not an option, NULL-terminated */
	int word_count;
};

/* Prints the reason and exits with 2 when the command line is wrong. */
void options_parse(struct options *options, int argc, char **argv);

/* Parses a whole decimal number up to `limit`; prints the reason and exits with 2 otherwise. */
uint64_t options_number(const char *name, const char *text, uint64_t limit);

/* Prints usage and exits with 2. */
void options_usage(void) __attribute__((noreturn));

#endif
