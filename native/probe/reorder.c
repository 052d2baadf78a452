/* SPDX-License-Identifier: Apache-2.0 */
/* `reorder`: a UDP echo whose answers are cut and ordered as asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <string.h>

#include "clock.h"
#include "fragments.h"
#include "process.h"
#include "raw.h"
#include "socket.h"

#define UDP_BYTES 8

static void answer(struct raw *raw, struct segment *segment, const struct options *options,
		   enum order order)
{
	static struct pieces pieces;

	segment->identification++;
	raw_udp(raw, segment);
	pieces_cut(&pieces, order, segment->length, options->fragment);
	for (size_t i = 0; i < pieces.count; i++)
		raw_send(raw, segment, &pieces.list[i]);
}

int reorder_run(const struct options *options)
{
	static struct segment segment;
	struct raw raw = {.protocol = IPPROTO_UDP};
	enum order order;
	int buffer = 16 << 20;
	int fd, rc;

	if (!options->bind || !order_parse(&order, options->order) || options->fragment % 8 ||
	    !options->fragment || !address_parse(&raw.source, options->bind, options->port))
		options_usage();
	raw.destination = raw.source;
	srand((unsigned int)clock_ns());
	segment.identification = (uint32_t)rand();
	fd = socket(raw.source.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : bind(fd, &raw.source.any, address_length(&raw.source));
	rc = rc ? -errno : raw_open(&raw);
	if (rc) {
		fprintf(stderr, "isthmus-probe: reorder: %s\n", strerror(-rc));
		return 2;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	puts("ready");
	fflush(stdout);
	for (;;) {
		socklen_t length = sizeof(raw.destination);
		ssize_t got = recvfrom(fd, segment.bytes + UDP_BYTES, RAW_SEGMENT_MAX - UDP_BYTES,
				       0, &raw.destination.any, &length);

		if (got < 0)
			return errno == EINTR ? 0 : 1;
		segment.length = UDP_BYTES + (size_t)got;
		answer(&raw, &segment, options, order);
	}
}
