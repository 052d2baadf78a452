/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pod to node: the host side of a pod's veth. */
#ifndef ISTHMUS_FROM_CONTAINER_H
#define ISTHMUS_FROM_CONTAINER_H

/* What a pod says to its own link, and what no router forwards. */
static __always_inline int refuse_link_local(struct packet *pkt)
{
	int rc = neighbour_answer(pkt);

	if (rc)
		return rc;
	return packet_is_not_routable(pkt) ? -DROP_NOT_ROUTABLE : 0;
}

/* A pod leaves no ports for the fragments of another: unlike a flow, an entry knows no device. */
static __always_inline int container_fragment(struct packet *pkt)
{
	if (!(pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT)))
		return 0;
	return endpoint_check_source(pkt) ?: fragment_track(pkt);
}

/* Towards outside: what is known already first, then whatever can begin a flow. */
static __always_inline int container_to_outside(struct packet *pkt)
{
	int rc = container_fragment(pkt);

	if (!rc && !config.island[pkt->family & 1])
		rc = way_follow(pkt);
	rc = rc ?: flow_lookup(pkt);
	rc = rc ?: refuse_link_local(pkt);
	rc = rc ?: endpoint_check_source(pkt);
	rc = rc ?: icmp_error_translate(pkt);
	rc = rc ?: service_translate(pkt);
	rc = rc ?: mapped_hairpin(pkt);
	rc = rc ?: endpoint_to_host(pkt);
	return rc ?: nat_egress(pkt);
}

/* The way of this second, or the pods and nodes that the maps know. */
static __always_inline int container_to_inside(struct packet *pkt)
{
	int rc = address_is_local(&pkt->key.destination) ? 0 : way_follow(pkt);

	rc = rc ?: endpoint_check_source(pkt);
	return rc ?: inside_forward(pkt);
}

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_CONTAINER};
	int rc;

	detour_arrived(&pkt);
	if (packet_is_arp(&pkt))
		return finish(&pkt, neighbour_answer_arp(&pkt));
	rc = packet_parse(&pkt);
	if (!rc && !address_is_inside(&pkt.key.destination))
		return finish(&pkt, container_to_outside(&pkt));
	return finish(&pkt, rc ?: container_to_inside(&pkt));
}

#endif
