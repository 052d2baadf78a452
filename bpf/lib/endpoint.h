/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pods of this node: who may send from an address, and what is addressed to the node itself. */
#ifndef ISTHMUS_ENDPOINT_H
#define ISTHMUS_ENDPOINT_H

#include "packet.h"
#include "maps.h"

/* A pod can only send from its own addresses (BCP 38). Remembers the pod in pkt. */
static __always_inline int endpoint_check_source(struct packet *pkt)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.source);

	if (!endpoint || endpoint->ifindex != pkt->skb->ifindex)
		return -DROP_SPOOFED;
	pkt->source = endpoint;
	return 0;
}

/* Flags of a flow's entry whose packets go to a pod of this node. Without a branch, which the
 * verifier would follow to the end of the packet. */
static __always_inline __u32 endpoint_flow_flags(const struct endpoint *to)
{
	return FLOW_TO_CONTAINER |
	       (to->flags & ENDPOINT_LIMITED) * (FLOW_LIMITED / ENDPOINT_LIMITED);
}

/* Whether a TCP connection of the host's own processes has the port: one from before the agent
 * reserved it. Who would only listen there has no right to. */
static __noinline bool host_has_connection(struct packet *pkt)
{
	struct bpf_sock_tuple tuple = {};
	bool ipv4 = pkt->family == FAMILY_IPV4;
	struct bpf_sock *socket;
	bool connected;

	if (pkt->key.protocol != IPPROTO_TCP)
		return false;
	if (ipv4) {
		tuple.ipv4.saddr = pkt->key.source.words[3];
		tuple.ipv4.daddr = pkt->key.destination.words[3];
		tuple.ipv4.sport = pkt->key.source_port;
		tuple.ipv4.dport = pkt->key.destination_port;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &pkt->key.source, sizeof(ip_addr));
		__builtin_memcpy(tuple.ipv6.daddr, &pkt->key.destination, sizeof(ip_addr));
		tuple.ipv6.sport = pkt->key.source_port;
		tuple.ipv6.dport = pkt->key.destination_port;
	}
	socket =
		bpf_skc_lookup_tcp(pkt->skb, &tuple, ipv4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6),
				   BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return false;
	connected = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return connected;
}

/* To one of the node's own addresses: the host's network stack, except for the ports that belong
 * to translated flows, which processes of the host can have no longer. */
static __always_inline int endpoint_to_host(struct packet *pkt)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.destination);

	if (!endpoint || !(endpoint->flags & ENDPOINT_HOST))
		return 0;
	/* A later fragment has the port of its first one by now. */
	if (!packet_is_icmp(pkt) && port_is_nat(bpf_ntohs(pkt->key.destination_port)) &&
	    !host_has_connection(pkt))
		return -DROP_NO_FLOW;
	return VERDICT_TO_HOST;
}

#endif
