/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of `bench` has open and what it has counted. Errors are -errno. */
#ifndef PROBE_MEASUREMENT_H
#define PROBE_MEASUREMENT_H

#include "address.h"
#include "histogram.h"
#include "options.h"

#define ERRORS_IN_A_ROW 10 /* then the peer is taken to be away */

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

/* A connected socket that blocks for the time limit at most; the options may be others. */
int measurement_open(const struct bench *bench, const struct options *options, int type);

/* All of the text. */
int measurement_send(int fd, const char *text);

/* One byte; the end of the stream is -ECONNRESET. */
int measurement_receive_byte(int fd);

/* Counts a transaction that took so many nanoseconds, or its error. */
void measurement_note(struct bench *bench, int rc, int64_t time);

/* When a run that begins at `start` is over, nanoseconds of the monotonic clock. */
int64_t measurement_end(const struct bench *bench, int64_t start);

#endif
