/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes pass, on one connection or on several at once. */
#include "bulk.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

#include "clock.h"

#define CHUNK (128 * 1024)

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
void bulk_measure(struct bench *bench)
{
	static char chunk[CHUNK];
	int64_t start = clock_ns();
	int64_t end = measurement_end(bench, start);

	for (uint64_t turn = 0; clock_ns() < end && !bench->errors; turn++) {
		ssize_t count = send(bench->fds[turn % bench->flows], chunk, sizeof(chunk), 0);

		if (count < 0)
			measurement_note(bench, -errno, 0);
		else
			bench->bytes += (uint64_t)count;
	}
	bench->bytes -= count_waiting(bench);
	bench->elapsed = clock_ns() - start;
}
