/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Node to pod and node to wire: what the node's own processes send, on its way out of the host's
 * stack. At the host side of a pod's veth, which packets of others are redirected past, and at the
 * uplink, only where a service has a backend on this node's own network.
 */
#ifndef ISTHMUS_FROM_HOST_H
#define ISTHMUS_FROM_HOST_H

/* The node is trusted like a pod: nobody else sends here. What cannot be read is the host's own. */
SEC("tc")
int from_host(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_CONTAINER};

	/* It came in by a device: no process of this node sent it. */
	if (skb->ingress_ifindex || packet_parse(&pkt))
		return TC_NEXT;
	return finish(&pkt, host_answer(&pkt) ?: VERDICT_TO_HOST);
}

#endif
