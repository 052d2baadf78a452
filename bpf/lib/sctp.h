/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SCTP (RFC 9260), as far as a translator needs it: ports, a checksum over the packet alone, and
 * what its chunks say about the association. Addresses inside of chunks are not looked at.
 */
#ifndef ISTHMUS_SCTP_H
#define ISTHMUS_SCTP_H

#include "connection.h"
#include "crc.h"

enum sctp_limits {
	SCTP_BYTES = 12, /* of the common header */
	SCTP_CHUNK_BYTES = 4, /* of the header of a chunk */
	SCTP_CHUNKS_MAX = 4, /* to look at: what says how an association ends comes early */
	SCTP_GSO_SEGMENT = 0xffff, /* gso_size: the packets are as their sender cut them (4.8) */
};

enum sctp_chunk_type {
	SCTP_DATA = 0,
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_HEARTBEAT = 4,
	SCTP_HEARTBEAT_ACK = 5,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_SHUTDOWN_COMPLETE = 14,
	SCTP_TAG_REFLECTED = 1, /* flag T: the tag is the one that the receiver sends with */
};

struct sctp_header {
	union {
		__be16 ports[2]; /* source, destination */
		__u32 word; /* the same, as the CRC counts them */
	};
	__be32 tag;
	__u32 checksum; /* little endian; 0: none (RFC 9653), or the device will write it */
};
_Static_assert(sizeof(struct sctp_header) == SCTP_BYTES, "the common header");

struct sctp_chunk {
	__u8 type; /* enum sctp_chunk_type */
	__u8 flags;
	__be16 length; /* of header and value, without padding */
};
_Static_assert(sizeof(struct sctp_chunk) == SCTP_CHUNK_BYTES, "the header of a chunk");

/*
 * An association lives and ends like a connection of TCP, so a chunk counts as the flags that say
 * the same there. A heartbeat says nothing: it also comes by a second path of another association.
 */
static __always_inline __u8 sctp_chunk_says(__u8 type)
{
	switch (type) {
	case SCTP_INIT:
		return TCP_SYN;
	case SCTP_INIT_ACK:
		return TCP_SYN | TCP_ACK;
	case SCTP_SHUTDOWN:
	case SCTP_SHUTDOWN_ACK:
		return TCP_FIN | TCP_ACK;
	case SCTP_ABORT:
	case SCTP_SHUTDOWN_COMPLETE:
		return TCP_RST;
	case SCTP_HEARTBEAT:
	case SCTP_HEARTBEAT_ACK:
		return 0;
	default:
		return TCP_ACK;
	}
}

/* What the chunks from `at` to `end` say, as TCP's flags. Not static, so that the verifier walks it
 * once. */
__noinline int sctp_says(struct __sk_buff *skb, __u32 at, __u32 end)
{
	int says = 0;

	for (int i = 0; i < SCTP_CHUNKS_MAX; i++) {
		struct sctp_chunk chunk;

		if (at + sizeof(chunk) > end || bpf_skb_load_bytes(skb, at, &chunk, sizeof(chunk)))
			break;
		says |= sctp_chunk_says(chunk.type);
		/* Data comes after all that controls (RFC 9260 section 6.10). */
		if (chunk.type == SCTP_DATA || bpf_ntohs(chunk.length) < SCTP_CHUNK_BYTES)
			break;
		at += (bpf_ntohs(chunk.length) + 3) & ~3;
	}
	return says;
}

/*
 * Writes both ports, as they are in the header's first word, and the checksum of a packet of
 * `bytes`. Not static, so that the verifier walks it once. 0, or negative when the packet cannot be
 * changed.
 */
__noinline int sctp_write_ports(struct __sk_buff *skb, __u32 at, __u32 bytes, __u32 ports,
				bool unfinished)
{
	struct sctp_header header;

	if (bpf_skb_load_bytes(skb, at, &header, sizeof(header)))
		return -1;
	if (header.checksum && !unfinished)
		header.checksum ^= crc_shift(header.word ^ ports, bytes);
	header.word = ports;
	return bpf_skb_store_bytes(skb, at, &header, sizeof(header), BPF_F_RECOMPUTE_CSUM);
}

#endif
