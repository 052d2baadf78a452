/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a step may return: 0 to go on, a verdict to end, or the negative of a drop reason.
 * finish() in events.h is the only place that turns it into a code of the kernel.
 */
#ifndef ISTHMUS_VERDICT_H
#define ISTHMUS_VERDICT_H

enum verdict {
	VERDICT_CONTINUE = 0,
	VERDICT_TO_HOST = 1, /* to the host's network stack, through any other program first */
	VERDICT_REDIRECTED = 2, /* a redirect helper has said where to */
	VERDICT_DROPPED = 3, /* a drop that is counted already: answering it changed the packet */
	VERDICT_SENT = 4, /* out of the device where it came in; of xdp only */
};

#endif
