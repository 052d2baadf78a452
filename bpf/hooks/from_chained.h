/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chained pod to node: the host side of a veth that another CNI plugin made, as a port of its
 * bridge or with routes of its own. What is translated is forwarded as for every pod; everything
 * else goes on to the host's stack as if nobody had been here.
 */
#ifndef ISTHMUS_FROM_CHAINED_H
#define ISTHMUS_FROM_CHAINED_H

/* What stays on the link: neighbour discovery, DHCP, multicast. */
static __always_inline bool chained_is_local(const struct packet *pkt)
{
	return packet_is_not_routable(pkt) || address_is_link_local(&pkt->key.source);
}

/* Of a fragment without its first one nobody knows the ports. Where only services translate, it is
 * taken for one that goes on as it is. */
static __always_inline int chained_fragment(struct packet *pkt)
{
	int rc = container_fragment(pkt);
	bool passes = rc == -DROP_FRAGMENT_MISS && !config.island[pkt->family & 1];

	return passes ? VERDICT_TO_HOST : rc;
}

/* What belongs to a flow, is for a frontend, or leaves the island. */
static __always_inline int chained_to_outside(struct packet *pkt)
{
	int rc = chained_fragment(pkt);

	rc = rc ?: flow_lookup(pkt);
	rc = rc ?: icmp_error_translate(pkt);
	rc = rc ?: service_translate(pkt);
	rc = rc ?: mapped_hairpin(pkt);
	rc = rc ?: endpoint_to_host(pkt);
	return rc ?: nat_egress(pkt);
}

SEC("tc")
int from_chained(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_CONTAINER};
	int rc;

	detour_arrived(&pkt);
	rc = packet_parse(&pkt);
	if (rc == -DROP_UNSUPPORTED_ETHERTYPE || (!rc && chained_is_local(&pkt)))
		return TC_NEXT;
	rc = rc ?: endpoint_check_source(&pkt);
	if (!rc && address_is_inside(&pkt.key.destination))
		return TC_NEXT;
	return finish(&pkt, rc ?: chained_to_outside(&pkt));
}

#endif
