/* SPDX-License-Identifier: Apache-2.0 */
/* What the process is: its namespace, its processor, and when it must stop. */
#ifndef PROBE_PROCESS_H
#define PROBE_PROCESS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Enters the namespace, sets processor and priority; exits with 2 when that fails. */
void process_prepare(const struct options *options);

/* From here on SIGTERM and SIGINT only make process_stopped() true, and wake process_poll(). */
void process_catch_stop(void);

bool process_stopped(void);

/* For the last words of a process that was stopped: waits are waits again. */
void process_ignore_stop(void);

/*
 * poll(2) until an absolute time of the monotonic clock, in nanoseconds; -1 waits for ever.
 * Returns how many are ready, 0 when the time has come or the process must stop.
 */
int process_poll(struct pollfd *fds, nfds_t count, int64_t until);

#endif
