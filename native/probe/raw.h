/* SPDX-License-Identifier: Apache-2.0 */
/* IP fragments made by hand, sent by a raw socket. */
#ifndef PROBE_RAW_H
#define PROBE_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "pieces.h"

#define RAW_SEGMENT_MAX 65536

/* Who sends to whom, and what. Both addresses are of one family, the ports are theirs. */
struct raw {
	int fd;
	union address source;
	union address destination;
	uint8_t protocol;
};

/* A datagram with its transport header. */
struct segment {
	uint8_t bytes[RAW_SEGMENT_MAX];
	size_t length;
	uint32_t identification; /* IPv4 sends 16 bits of it */
};

/* Opens the socket; 0 or -errno. IPv4 behind IPv6 becomes IPv4. */
int raw_open(struct raw *raw);

/* Writes a UDP header in front of the payload, which begins at byte 8. */
void raw_udp(const struct raw *raw, struct segment *segment);

/* Writes the header of an ICMP echo request; the source's port is its identifier. */
void raw_echo(const struct raw *raw, struct segment *segment, uint16_t number);

/* Sends one fragment; 0 or -errno. */
int raw_send(const struct raw *raw, const struct segment *segment, const struct piece *piece);

#endif
