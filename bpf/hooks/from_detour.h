/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Back from the detour of fragments: the node's side of the veth to each of its two namespaces. */
#ifndef ISTHMUS_FROM_DETOUR_H
#define ISTHMUS_FROM_DETOUR_H

SEC("tc")
int from_detour(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_NETDEV};
	int rc;

	if (skb->ifindex == config.detour_ifindex[DIRECTION_FROM_CONTAINER])
		pkt.direction = DIRECTION_FROM_CONTAINER;
	rc = packet_parse(&pkt);
	return finish(&pkt, rc ?: detour_return(&pkt));
}

#endif
