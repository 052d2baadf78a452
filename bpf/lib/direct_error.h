/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Direct server return, at the node that takes packets in: errors about what it has handed over,
 * and pieces of what must be cut before. */
#ifndef ISTHMUS_DIRECT_ERROR_H
#define ISTHMUS_DIRECT_ERROR_H

#include "direct.h"
#include "icmp_error.h"

/* What the quoted packet carried, in the direction that it went; NULL when this node has not handed
 * it over to whom it was quoted to be for. */
static __always_inline struct flow *direct_quoted_flow(struct scratch *s)
{
	const struct flow_key *reply = &s->quote.reply_key;
	struct flow *flow;

	__builtin_memset(&s->key, 0, sizeof(s->key));
	flow_key_reverse(&s->key, &reply->source, reply->source_port, &reply->destination,
			 reply->destination_port);
	s->key.protocol = reply->protocol;
	flow = bpf_map_lookup_elem(&flows, &s->key);
	if (!flow || !(flow->flags & FLOW_ENCAPSULATE) ||
	    !address_equals(&flow->destination, &s->tunnel_destination))
		return NULL;
	return flow;
}

/* The error becomes the packet that it is about, as far as that was quoted. */
static __always_inline int direct_become_quoted(struct packet *pkt, struct scratch *s)
{
	__u32 before = s->quote.network_at - ETHERNET_BYTES;
	__u32 header = s->quote.transport_at - s->quote.network_at;

	if (before > PACKET_OFFSET_MAX || header > PACKET_OFFSET_MAX ||
	    bpf_skb_adjust_room(pkt->skb, -(__s32)before, BPF_ADJ_ROOM_MAC, 0))
		return -DROP_REWRITE_FAILED;
	packet_forget(pkt);
	pkt->key = s->key;
	pkt->length = pkt->skb->len - ETHERNET_BYTES;
	pkt->transport = ETHERNET_BYTES + header;
	if (s->key.protocol == IPPROTO_TCP && s->quote.transport_bytes == QUOTE_TCP_BYTES)
		pkt->tcp_flags = s->quote.transport[13];
	return 0;
}

/*
 * The pod's node has no such pod any more: the flow goes, and a connection is reset. A client that
 * only begins one tries again, and gets another backend.
 */
static __always_inline int direct_end(struct packet *pkt)
{
	if (pkt->key.protocol == IPPROTO_TCP) {
		if (pkt->tcp_flags & TCP_SYN || !pkt->tcp_flags)
			return -DROP_NO_ENDPOINT;
		return answer_reset(pkt, DROP_NO_ENDPOINT);
	}
	return answer_unreachable(pkt, DROP_NO_ENDPOINT);
}

/* The MTU that an error tells, less what the outer header takes of it; 0 when it tells none. */
static __always_inline __u32 direct_error_mtu(const struct packet *pkt)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u32 bytes = tunnel_bytes(pkt->family);
	const __u8 *icmp = packet_at(pkt, pkt->transport, ICMP_BYTES);
	__u32 mtu;

	if (!icmp)
		return 0;
	if (ipv4 ? icmp[0] != ICMP4_UNREACHABLE || icmp[1] != ICMP4_FRAGMENTATION_NEEDED
		 : icmp[0] != ICMP6_PACKET_TOO_BIG)
		return 0;
	mtu = bpf_ntohl(*(__be32 *)(icmp + 4));
	if (ipv4)
		mtu &= 0xffff;
	return mtu > bytes ? mtu - bytes : 0;
}

/* Whether the error says that nobody has the pod's address, and comes from who must know. */
static __always_inline bool direct_is_gone(const struct packet *pkt, const struct scratch *s)
{
	__u8 type = pkt->family == FAMILY_IPV4 ? ICMP4_UNREACHABLE : ICMP6_UNREACHABLE;
	struct route *route = route_to_node(&s->tunnel_destination);

	return pkt->icmp_type == type && route &&
	       address_equals(&route->next_hop, &pkt->key.source);
}

/* Tells the client what has become of its packet. */
static __noinline int direct_error_answer(struct packet *pkt, struct scratch *s, struct flow *flow)
{
	__u32 mtu = direct_error_mtu(pkt);
	bool gone = !mtu && direct_is_gone(pkt, s);

	if (direct_become_quoted(pkt, s))
		return -DROP_REWRITE_FAILED;
	if (gone) {
		flow_remove_by(s, &pkt->key, flow);
		return direct_end(pkt);
	}
	if (mtu)
		return answer_too_big(pkt, mtu);
	return answer_unreachable(pkt, DROP_NO_ROUTE);
}

/* An error about a packet around a packet that this node has sent. */
static __noinline int direct_error_lookup(struct packet *pkt)
{
	struct scratch *s = scratch_get();
	struct flow *flow;

	if (!s || quote_parse(pkt, &s->quote) || !quote_is_tunnel(pkt, &s->quote))
		return 0;
	s->tunnel_destination = s->quote.reply_key.source;
	if (quote_parse_at(pkt, &s->quote, s->quote.transport_at))
		return 0;
	flow = direct_quoted_flow(s);
	return flow ? direct_error_answer(pkt, s, flow) : -DROP_ICMP_ERROR_NO_FLOW;
}

/* Goes on (0) with everything else. */
static __always_inline int direct_error(struct packet *pkt)
{
	if (!(pkt->flags & PACKET_ICMP_ERROR) ||
	    !address_equals(&pkt->key.destination, &config.node_address[pkt->family & 1]))
		return 0;
	return direct_error_lookup(pkt);
}

/* A piece of a packet that is handed over. Goes on (0) with others. */
static __always_inline int direct_piece(struct packet *pkt)
{
	struct flow *flow;

	if (address_is_inside(&pkt->key.destination))
		return 0;
	pkt->flags |= PACKET_ORDERED;
	if (fragment_track(pkt))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &pkt->key);
	if (!flow || !(flow->flags & FLOW_ENCAPSULATE))
		return 0;
	pkt->skb->mark = 0;
	return flow_forward(pkt, flow);
}

#endif
