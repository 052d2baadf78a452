/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cutting of IPv4 packets that are larger than the next hop takes and do not forbid it (RFC 791,
 * RFC 1812 section 5.2.7). A packet that is already what it leaves as goes through a namespace that
 * has no addresses, whose kernel cuts it: no program can. What comes back is only sent on.
 */
#ifndef ISTHMUS_CUT_H
#define ISTHMUS_CUT_H

#include "detour.h"

/* Notes to which size the packet is to be cut; false when it must not be, or nobody can. */
static __always_inline bool cut_plan(struct packet *pkt, __u32 mtu)
{
	if (!config.cut_ifindex || pkt->flags & PACKET_DONT_FRAGMENT)
		return false;
	pkt->cut = mtu >= CUT_LARGE    ? CUT_LARGE
		   : mtu >= CUT_MEDIUM ? CUT_MEDIUM
		   : mtu >= CUT_SMALL  ? CUT_SMALL
				       : CUT_NONE;
	return pkt->cut;
}

/*
 * Sends a packet to be cut. The mark chooses the route of the namespace, which has the MTU; only
 * bpf_redirect_peer() keeps it.
 */
static __noinline int cut_send(struct packet *pkt)
{
	if (!detour_address(pkt))
		return -DROP_REWRITE_FAILED;
	pkt->skb->mark = pkt->cut;
	bpf_skb_change_type(pkt->skb, PACKET_HOST);
	return bpf_redirect_peer(config.cut_ifindex, 0) == TC_REDIRECT ? VERDICT_REDIRECTED
								       : -DROP_REWRITE_FAILED;
}

#endif
