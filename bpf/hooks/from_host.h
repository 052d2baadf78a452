/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Node to pod and node to wire: what the node's own processes send. Pods' packets are redirected
 * past the one, and told by where they came in at the other. */
#ifndef ISTHMUS_FROM_HOST_H
#define ISTHMUS_FROM_HOST_H

/* The node is trusted like a pod: nobody else sends here. What cannot be read is the host's own. */
static __always_inline int host_send(struct __sk_buff *skb)
{
	struct packet pkt = {.skb = skb, .direction = DIRECTION_FROM_CONTAINER};

	if (packet_parse(&pkt))
		return TC_NEXT;
	return finish(&pkt, host_answer(&pkt) ?: VERDICT_TO_HOST);
}

/* The host side of a pod's veth, on the way out of the host's stack. */
SEC("tc")
int to_container(struct __sk_buff *skb)
{
	return host_send(skb);
}

/* The uplink, on the way out: only where a service has a backend on this node's own network. */
SEC("tc")
int to_netdev(struct __sk_buff *skb)
{
	return skb->ingress_ifindex ? TC_NEXT : host_send(skb);
}

#endif
