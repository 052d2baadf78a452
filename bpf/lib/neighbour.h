/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ARP and neighbour discovery of pods: the gateway answers, so a pod needs no other neighbour. */
#ifndef ISTHMUS_NEIGHBOUR_H
#define ISTHMUS_NEIGHBOUR_H

#include "answer.h"

struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_bytes;
	__u8 protocol_bytes;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} __attribute__((packed));

enum arp_operation {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

/* Turns an ARP request for the gateway into its reply (RFC 826). */
static __noinline int neighbour_answer_arp(struct packet *pkt)
{
	__u32 gateway = config.gateway[FAMILY_IPV4].words[3];
	struct arp_ipv4 *arp = packet_pull(pkt, ETHERNET_BYTES, sizeof(*arp));
	struct ethhdr *ethernet;
	__u32 sender, target;

	if (!arp)
		return -DROP_TRUNCATED;
	__builtin_memcpy(&target, arp->target, sizeof(target));
	if (arp->operation != bpf_htons(ARP_REQUEST))
		return VERDICT_TO_HOST; /* the pod's answer to the node's own question */
	if (target != gateway)
		return -DROP_NEIGHBOUR_UNKNOWN;
	__builtin_memcpy(&sender, arp->sender, sizeof(sender));
	arp->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
	__builtin_memcpy(arp->target, &sender, sizeof(sender));
	config_copy(arp->sender_mac, &config.gateway_mac, 6);
	__builtin_memcpy(arp->sender, &target, sizeof(target));
	ethernet = packet_at(pkt, 0, ETHERNET_BYTES);
	if (!ethernet)
		return -DROP_TRUNCATED;
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, 6);
	config_copy(ethernet->h_source, &config.gateway_mac, 6);
	return bpf_redirect(pkt->skb->ifindex, 0) == TC_REDIRECT ? VERDICT_REDIRECTED
								 : -DROP_REWRITE_FAILED;
}

/* RFC 4861 section 4.4 with the target link-layer address option. */
struct neighbour_advertisement {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 flags;
	ip_addr target;
	__u8 option;
	__u8 option_units;
	__u8 mac[6];
};

enum neighbour_flags {
	NEIGHBOUR_ROUTER = 0x80000000,
	NEIGHBOUR_SOLICITED = 0x40000000,
	NEIGHBOUR_OVERRIDE = 0x20000000,
	NEIGHBOUR_OPTION_TARGET = 2,
	NEIGHBOUR_HOP_LIMIT = 255,
};

static __always_inline void neighbour_advertise(struct neighbour_advertisement *to,
						const ip_addr *target, const ip_addr *solicitor)
{
	struct ipv6_pseudo pseudo = {
		.source = *target,
		.destination = *solicitor,
		.length = bpf_htonl(sizeof(*to)),
		.next = bpf_htonl(IPPROTO_ICMPV6),
	};
	__s64 sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);

	__builtin_memset(to, 0, sizeof(*to));
	to->type = ICMP6_NEIGHBOUR_ADVERTISEMENT;
	to->flags = bpf_htonl(NEIGHBOUR_ROUTER | NEIGHBOUR_SOLICITED | NEIGHBOUR_OVERRIDE);
	to->target = *target;
	to->option = NEIGHBOUR_OPTION_TARGET;
	to->option_units = 1;
	config_copy(to->mac, &config.gateway_mac, 6);
	to->checksum = ~checksum_fold(bpf_csum_diff(0, 0, (__be32 *)to, sizeof(*to), sum));
}

/* Turns a solicitation for the gateway into its advertisement. Detection of duplicates (no
 * source) is left unanswered: nobody else has the pod's address. */
static __noinline int neighbour_answer_nd(struct packet *pkt)
{
	struct neighbour_advertisement advertisement;
	__u32 offset = ETHERNET_BYTES + IPV6_BYTES;
	ip_addr target, solicitor = pkt->key.source;
	struct ethhdr *ethernet;
	struct ipv6hdr *ip;

	/* Only a neighbour sends this (RFC 4861 section 7.1.1), and without extensions. */
	if (pkt->ttl != NEIGHBOUR_HOP_LIMIT || pkt->transport != offset)
		return -DROP_MALFORMED;
	if (!packet_holds(pkt, offset + ICMP_BYTES, sizeof(target)) ||
	    bpf_skb_load_bytes(pkt->skb, offset + ICMP_BYTES, &target, sizeof(target)))
		return -DROP_TRUNCATED;
	if (!address_equals(&target, &config.gateway[FAMILY_IPV6]) ||
	    address_is_unspecified(&solicitor))
		return -DROP_NEIGHBOUR_UNKNOWN;
	neighbour_advertise(&advertisement, &target, &solicitor);
	if (bpf_skb_change_tail(pkt->skb, offset + sizeof(advertisement), 0) ||
	    bpf_skb_store_bytes(pkt->skb, offset, &advertisement, sizeof(advertisement), 0))
		return -DROP_REWRITE_FAILED;
	ip = packet_at(pkt, ETHERNET_BYTES, IPV6_BYTES);
	if (!ip)
		return -DROP_REWRITE_FAILED;
	ip->hop_limit = NEIGHBOUR_HOP_LIMIT;
	ip->payload_len = bpf_htons(sizeof(advertisement));
	__builtin_memcpy(&ip->saddr, &target, sizeof(target));
	__builtin_memcpy(&ip->daddr, &solicitor, sizeof(solicitor));
	ethernet = packet_at(pkt, 0, ETHERNET_BYTES);
	if (!ethernet)
		return -DROP_REWRITE_FAILED;
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, 6);
	config_copy(ethernet->h_source, &config.gateway_mac, 6);
	return bpf_redirect(pkt->skb->ifindex, 0) == TC_REDIRECT ? VERDICT_REDIRECTED
								 : -DROP_REWRITE_FAILED;
}

static __always_inline bool packet_is_arp(const struct packet *pkt)
{
	return pkt->skb->protocol == bpf_htons(ETHERTYPE_ARP);
}

/* Solicitations are answered; what else pods say to their neighbours ends here, except what
 * answers a question of the node. */
static __always_inline int neighbour_answer(struct packet *pkt)
{
	if (pkt->key.protocol != IPPROTO_ICMPV6 || pkt->icmp_type < ICMP6_NEIGHBOUR_FIRST ||
	    pkt->icmp_type > ICMP6_NEIGHBOUR_LAST || pkt->flags & PACKET_LATER_FRAGMENT)
		return 0;
	if (pkt->icmp_type == ICMP6_NEIGHBOUR_SOLICITATION)
		return neighbour_answer_nd(pkt);
	if (pkt->icmp_type == ICMP6_NEIGHBOUR_ADVERTISEMENT)
		return VERDICT_TO_HOST;
	return -DROP_NOT_ROUTABLE;
}

#endif
