/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Back from the detour of fragments, and from where packets are cut: the node's side of the veth to
 * each of the namespaces. */
#ifndef ISTHMUS_FROM_DETOUR_H
#define ISTHMUS_FROM_DETOUR_H

/* The namespace itself has nothing to say; its IPv6 side has no route. */
static __always_inline int cut_return(struct packet *pkt)
{
	if (pkt->family != FAMILY_IPV4 || packet_is_not_routable(pkt))
		return -DROP_DETOUR_STRAY;
	return direct_piece(pkt) ?: forward_piece(pkt);
}

SEC("tc")
int from_detour(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_NETDEV};
	int rc;

	if (skb->ifindex == config.detour_ifindex[DIRECTION_FROM_CONTAINER])
		pkt.direction = DIRECTION_FROM_CONTAINER;
	rc = packet_parse(&pkt);
	if (!rc && config.cut_ifindex && skb->ifindex == config.cut_ifindex)
		return finish(&pkt, cut_return(&pkt));
	return finish(&pkt, rc ?: detour_return(&pkt));
}

#endif
