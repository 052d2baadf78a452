/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the node says in the place of who was addressed: a TCP reset, an SCTP ABORT, or, to what has
 * no connections, an ICMP error. As with answer.h, the refused packet becomes the answer.
 */
#ifndef ISTHMUS_REFUSAL_H
#define ISTHMUS_REFUSAL_H

#include "answer.h"

/* The numbers of a reset (RFC 9293 section 3.10.7.1): it acknowledges all that the refused
 * segment holds, or continues where that segment's acknowledgement says. */
static __always_inline void reset_header(struct tcphdr *to, const struct tcphdr *from,
					 __u32 payload)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->source = from->dest;
	to->dest = from->source;
	to->doff = 5;
	to->rst = 1;
	if (from->ack) {
		to->seq = from->ack_seq;
		return;
	}
	to->ack = 1;
	to->ack_seq = bpf_htonl(bpf_ntohl(from->seq) + payload + from->syn + from->fin);
}

/* The IP header of an answer that the refused address gives, of so many bytes after it. */
static __always_inline struct iphdr *refusal_ipv4(struct packet *pkt, struct scratch *s,
						  __u32 bytes)
{
	struct iphdr *ip = (struct iphdr *)s->header;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(IPV4_BYTES + bytes);
	ip->ttl = ANSWER_TTL;
	ip->protocol = pkt->key.protocol;
	ip->saddr = pkt->key.destination.words[3];
	ip->daddr = pkt->key.source.words[3];
	ip->check = ipv4_header_checksum(ip);
	return ip;
}

static __always_inline struct ipv6hdr *refusal_ipv6(struct packet *pkt, struct scratch *s,
						    __u32 bytes)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)s->header;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = pkt->key.protocol;
	ip->hop_limit = ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, &pkt->key.destination, sizeof(ip_addr));
	__builtin_memcpy(&ip->daddr, &pkt->key.source, sizeof(ip_addr));
	return ip;
}

static __always_inline int reset_store_ipv4(struct packet *pkt, struct scratch *s,
					    struct tcphdr *tcp)
{
	struct iphdr *ip = refusal_ipv4(pkt, s, TCP_BYTES);
	struct ipv4_pseudo *pseudo = (struct ipv4_pseudo *)s->pseudo;
	__s64 sum;

	pseudo->source = ip->saddr;
	pseudo->destination = ip->daddr;
	pseudo->zero = 0;
	pseudo->protocol = IPPROTO_TCP;
	pseudo->length = bpf_htons(TCP_BYTES);
	sum = bpf_csum_diff(0, 0, (__be32 *)pseudo, sizeof(*pseudo), 0);
	tcp->check = ~checksum_fold(bpf_csum_diff(0, 0, (__be32 *)tcp, sizeof(*tcp), sum));
	if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
		return -1;
	return bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES + IPV4_BYTES, tcp, sizeof(*tcp), 0);
}

static __always_inline int reset_store_ipv6(struct packet *pkt, struct scratch *s,
					    struct tcphdr *tcp)
{
	struct ipv6hdr *ip = refusal_ipv6(pkt, s, TCP_BYTES);
	__s64 sum;

	sum = ipv6_pseudo_sum(s, ip, TCP_BYTES);
	tcp->check = ~checksum_fold(bpf_csum_diff(0, 0, (__be32 *)tcp, sizeof(*tcp), sum));
	if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
		return -1;
	return bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES + IPV6_BYTES, tcp, sizeof(*tcp), 0);
}

/* An ABORT by itself: what SCTP has for a reset. */
struct sctp_abort {
	union {
		struct {
			struct sctp_header header;
			struct sctp_chunk chunk;
		};
		__u32 words[4];
	};
};

/* The tag that the refused packet's sender expects: what its INIT announces, or the one that it
 * uses itself, said to be so (RFC 9260 section 8.4). */
static __always_inline int abort_make(struct packet *pkt, struct sctp_abort *abort)
{
	__u32 at = pkt->transport & PACKET_OFFSET_MAX;
	bool opens = (pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	__u32 crc = ~0U;

	if (bpf_skb_load_bytes(pkt->skb, at, &abort->header, SCTP_BYTES))
		return -1;
	if (opens && !packet_initiate_tag(pkt, &abort->header.tag))
		return -1;
	abort->header.ports[0] = pkt->key.destination_port;
	abort->header.ports[1] = pkt->key.source_port;
	abort->header.checksum = 0;
	abort->chunk.type = SCTP_ABORT;
	abort->chunk.flags = opens ? 0 : SCTP_TAG_REFLECTED;
	abort->chunk.length = bpf_htons(SCTP_CHUNK_BYTES);
	for (int i = 0; i < 4; i++)
		crc = crc_shift(crc ^ abort->words[i], sizeof(crc));
	abort->header.checksum = ~crc;
	return 0;
}

static __always_inline int abort_store(struct packet *pkt, struct scratch *s,
				       const struct sctp_abort *abort)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u32 header = ipv4 ? IPV4_BYTES : IPV6_BYTES;

	if (bpf_skb_change_tail(pkt->skb, ETHERNET_BYTES + header + sizeof(*abort), 0))
		return -1;
	if (ipv4) {
		struct iphdr *ip = refusal_ipv4(pkt, s, sizeof(*abort));

		if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
			return -1;
	} else {
		struct ipv6hdr *ip = refusal_ipv6(pkt, s, sizeof(*abort));

		if (bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES, ip, sizeof(*ip), 0))
			return -1;
	}
	return bpf_skb_store_bytes(pkt->skb, ETHERNET_BYTES + header, abort, sizeof(*abort), 0);
}

/*
 * The same for SCTP. Nobody is told by an ABORT that a heartbeat has no association here: it may
 * try a second path of one that lives by another.
 */
static __noinline int answer_abort(struct packet *pkt, __u32 reason)
{
	struct scratch *s = scratch_get();
	struct sctp_abort abort;

	drop_record(pkt, reason);
	if (!s || !pkt->tcp_flags || pkt->tcp_flags & TCP_RST ||
	    pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT))
		return VERDICT_DROPPED;
	if (abort_make(pkt, &abort) || abort_store(pkt, s, &abort))
		return VERDICT_DROPPED;
	return answer_redirect(pkt);
}

/* Counts the drop and turns a TCP segment into the reset that answers it. */
static __noinline int answer_tcp_reset(struct packet *pkt, __u32 reason)
{
	bool ipv4 = pkt->family == FAMILY_IPV4;
	__u32 header = ipv4 ? IPV4_BYTES : IPV6_BYTES;
	struct scratch *s = scratch_get();
	struct tcphdr from, to;

	drop_record(pkt, reason);
	if (!s || pkt->tcp_flags & TCP_RST ||
	    pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT))
		return VERDICT_DROPPED;
	if (bpf_skb_load_bytes(pkt->skb, pkt->transport & PACKET_OFFSET_MAX, &from, sizeof(from)))
		return VERDICT_DROPPED;
	reset_header(&to, &from, pkt->length - (pkt->transport - ETHERNET_BYTES) - from.doff * 4);
	if (bpf_skb_change_tail(pkt->skb, ETHERNET_BYTES + header + TCP_BYTES, 0))
		return VERDICT_DROPPED;
	if (ipv4 ? reset_store_ipv4(pkt, s, &to) : reset_store_ipv6(pkt, s, &to))
		return VERDICT_DROPPED;
	return answer_redirect(pkt);
}

/* Counts the drop and ends the connection that a packet of TCP or SCTP is of. */
static __always_inline int answer_reset(struct packet *pkt, __u32 reason)
{
	return pkt->key.protocol == IPPROTO_SCTP ? answer_abort(pkt, reason)
						 : answer_tcp_reset(pkt, reason);
}

/* Refuses a connection or datagram so that its sender knows at once. */
static __always_inline int answer_refused(struct packet *pkt, __u32 reason)
{
	if (protocol_has_connections(pkt->key.protocol) && !(pkt->flags & PACKET_LATER_FRAGMENT))
		return answer_reset(pkt, reason);
	return answer_port_unreachable(pkt, reason);
}

#endif
