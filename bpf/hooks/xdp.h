/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Wire to node before the stack exists: what goes back to the wire, and what goes nowhere. */
#ifndef ISTHMUS_XDP_H
#define ISTHMUS_XDP_H

/* Established flows between a client and a backend that are both elsewhere. Goes on (0) with a
 * packet that belongs to no flow at all. */
static __always_inline int xdp_established(struct xdp_md *ctx, struct packet *pkt)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &pkt->key);

	return flow ? frame_apply(ctx, pkt, flow) : 0;
}

/* A flood of clients that a load balancer's address is not for ends here. */
static __always_inline int xdp_check_source(struct packet *pkt)
{
	struct service *service = service_lookup(pkt);

	return service ? service_check_source(&pkt->key.source, service) : 0;
}

/* The order of from_netdev, which sees whatever is left. */
static __always_inline int xdp_receive(struct xdp_md *ctx)
{
	struct packet pkt = {.direction = DIRECTION_FROM_NETDEV};
	int rc = frame_parse(ctx, &pkt);

	if (rc || address_is_inside(&pkt.key.destination) || netdev_is_host_traffic(&pkt))
		return XDP_PASS;
	rc = xdp_established(ctx, &pkt);
	rc = rc ?: xdp_check_source(&pkt);
	return frame_finish(ctx, rc);
}

/* Native mode. Frames may be larger than a page. */
SEC("xdp.frags")
int xdp_native(struct xdp_md *ctx)
{
	return xdp_receive(ctx);
}

/*
 * Generic mode. Not for frames in fragments: for these the kernel copies the skb, and the copy does
 * not know how long its Ethernet header is (mac_len), so that tc takes the packet for one without.
 */
SEC("xdp")
int xdp_generic(struct xdp_md *ctx)
{
	return xdp_receive(ctx);
}

#endif
