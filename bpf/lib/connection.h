/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What packets of TCP and SCTP say about the connection that they are of. */
#ifndef ISTHMUS_CONNECTION_H
#define ISTHMUS_CONNECTION_H

#include "kernel.h"

/* Chunks of SCTP are read as flags that say the same; see sctp_chunk_says(). */
enum tcp_flags {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_ACK = 16,
};

static __always_inline bool protocol_has_connections(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP;
}

#endif
