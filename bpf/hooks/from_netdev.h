/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Wire to node: the uplink. */
#ifndef ISTHMUS_FROM_NETDEV_H
#define ISTHMUS_FROM_NETDEV_H

/* The host's own traffic leaves before the flow table is touched: neither ICMP, nor a port
 * that a flow or a NodePort could own, nor the frontend of a service. */
static __always_inline bool netdev_is_host_traffic(const struct packet *pkt)
{
	__u16 port = bpf_ntohs(pkt->key.destination_port);

	if (!address_equals(&pkt->key.destination, &config.node_address[pkt->family & 1]))
		return false;
	if (packet_is_icmp(pkt) || packet_is_fragment(pkt))
		return false;
	return !port_is_nat(port) && !port_is_node_port(port) && !service_lookup(pkt);
}

/* Fragments of the host's own datagrams are not ours to judge; where there is a detour, they come
 * in order, and a miss is what no detour is for. */
static __always_inline int netdev_fragment(struct packet *pkt)
{
	int rc = fragment_track(pkt);

	return rc == -DROP_FRAGMENT_MISS && !pkt->unwrapped ? VERDICT_TO_HOST : rc;
}

/* What was handed over has its backend already, and is for nobody else. */
static __always_inline int netdev_to_backend(struct packet *pkt)
{
	int rc;

	if (!pkt->unwrapped)
		return service_translate(pkt);
	rc = direct_connect(pkt);
	return rc ?: flow_begin(pkt);
}

static __always_inline int netdev_to_node(struct packet *pkt)
{
	int rc = netdev_fragment(pkt);

	if (!rc && pkt->unwrapped)
		rc = direct_settle(pkt);
	rc = rc ?: flow_lookup(pkt);
	rc = rc ?: direct_error(pkt);
	rc = rc ?: icmp_error_translate(pkt);
	rc = rc ?: netdev_to_backend(pkt);
	rc = rc ?: mapped_admit(pkt);
	rc = rc ?: endpoint_to_host(pkt);
	return rc ?: VERDICT_TO_HOST;
}

SEC("tc")
int from_netdev(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_NETDEV};
	int rc;

	detour_arrived(&pkt);
	rc = packet_parse(&pkt);
	if (rc == -DROP_UNSUPPORTED_ETHERTYPE ||
	    (skb->pkt_type != PACKET_HOST && !(pkt.flags & PACKET_ORDERED)))
		return TC_NEXT;
	rc = rc ?: direct_receive(&pkt);
	rc = rc ?: inside_forward(&pkt);
	if (!rc && netdev_is_host_traffic(&pkt))
		return TC_NEXT;
	rc = rc ?: netdev_to_node(&pkt);
	return finish(&pkt, rc);
}

#endif
