/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The detour of fragments: two tiny namespaces, one a direction, whose kernel puts together what
 * arrives out of order and cuts it again, the first fragment first and all of their former size.
 * What comes back enters the node once more by the device where it first arrived, so that its
 * hook sees the same packets as from a sender who keeps the order.
 */
#ifndef ISTHMUS_DETOUR_H
#define ISTHMUS_DETOUR_H

#include "endpoint.h"
#include "rewrite.h"

enum detour {
	DETOUR_MARK = 0x69737466, /* of a packet between the detour and its device; nowhere else */
	/* Fragments that may be away and not back, a second. Two seconds' worth of all of them are
	 * less than the memory for reassembly in each namespace (64 MiB, 2.3 kB a fragment). */
	DETOUR_PER_SOURCE = 1024,
	DETOUR_TOTAL = 12288,
};

static __always_inline struct fragment_counter *fragment_counter_get(const struct packet *pkt)
{
	__u32 direction = pkt->direction & 1;

	return bpf_map_lookup_elem(&fragment_stats, &direction);
}

static __always_inline bool packet_is_fragment(const struct packet *pkt)
{
	return pkt->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT);
}

static __always_inline __u32 detour_ifindex(const struct packet *pkt)
{
	return pkt->direction == DIRECTION_FROM_CONTAINER
		       ? config.detour_ifindex[DIRECTION_FROM_CONTAINER]
		       : config.detour_ifindex[DIRECTION_FROM_NETDEV];
}

/* Racy on purpose: a few more do no harm. */
static __always_inline bool budget_take(struct detour_budget *budget, seconds now, __u32 limit)
{
	if (budget->second != now) {
		budget->second = now;
		budget->away = 0;
	}
	if (budget->away >= limit)
		return false;
	budget->away++;
	return true;
}

static __always_inline void budget_return(struct detour_budget *budget)
{
	if (budget->away)
		budget->away--;
}

/*
 * What comes back is given back, so that a sender whose datagrams are complete is never limited,
 * and a flood of those that never will be does not fill the namespace's memory.
 */
static __always_inline bool detour_admit(const struct packet *pkt)
{
	seconds now = clock_seconds();
	__u32 direction = pkt->direction & 1;
	struct detour_source fresh = {.budget.second = now};
	struct detour_budget *total = bpf_map_lookup_elem(&detour_totals, &direction);
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);
	struct detour_source *source;

	if (!ethernet || !total || (total->second == now && total->away >= DETOUR_TOTAL))
		return false;
	source = bpf_map_lookup_elem(&detour_sources, &pkt->key.source);
	if (!source) {
		bpf_map_update_elem(&detour_sources, &pkt->key.source, &fresh, BPF_NOEXIST);
		source = bpf_map_lookup_elem(&detour_sources, &pkt->key.source);
	}
	if (!source || !budget_take(&source->budget, now, DETOUR_PER_SOURCE))
		return false;
	__builtin_memcpy(&source->ethernet_source, ethernet->h_source, sizeof(mac_addr));
	__builtin_memcpy(&source->ethernet_destination, ethernet->h_dest, sizeof(mac_addr));
	return budget_take(total, now, DETOUR_TOTAL);
}

/* The namespace is a router too: this makes up for the hop that it counts. */
static __always_inline void packet_increment_ttl(struct packet *pkt)
{
	if (pkt->ttl == 255)
		return;
	if (pkt->family == FAMILY_IPV4) {
		struct iphdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV4_BYTES);

		if (!ip)
			return;
		ip->check = checksum_apply(ip->check, bpf_htons(0x0100));
		ip->ttl++;
		return;
	}
	struct ipv6hdr *ip = packet_at(pkt, ETHERNET_BYTES, IPV6_BYTES);

	if (ip)
		ip->hop_limit++;
}

/* Whether the namespace would forward it; and from a pod, whether it may send it at all. */
static __always_inline int detour_check(struct packet *pkt)
{
	if (!detour_ifindex(pkt) || packet_is_not_routable(pkt))
		return -DROP_FRAGMENT_MISS;
	if (pkt->direction == DIRECTION_FROM_CONTAINER)
		return endpoint_check_source(pkt);
	if (address_is_link_local(&pkt->key.source))
		return -DROP_FRAGMENT_MISS;
	return 0;
}

/* What goes to a namespace of ours is a packet to forward there: with the TTL that it came with. */
static __always_inline bool detour_address(struct packet *pkt)
{
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);

	if (!ethernet)
		return false;
	config_copy(ethernet->h_dest, &config.detour_mac, sizeof(mac_addr));
	config_copy(ethernet->h_source, &config.gateway_mac, sizeof(mac_addr));
	packet_increment_ttl(pkt);
	return true;
}

/* Sends a fragment on the detour. From a pod it has been checked against spoofing. */
static __always_inline int detour_send(struct packet *pkt, struct fragment_counter *counter)
{
	if (!detour_address(pkt))
		return -DROP_REWRITE_FAILED;
	counter->detour++;
	return bpf_redirect(detour_ifindex(pkt), 0) == TC_REDIRECT ? VERDICT_REDIRECTED
								   : -DROP_REWRITE_FAILED;
}

/* The device where a packet from the detour first arrived, or 0 when it is not one of ours. */
static __always_inline __u32 detour_origin(const struct packet *pkt)
{
	struct endpoint *endpoint;

	/* Fragments and, when they were tiny, whole packets; the namespace itself has nothing to
	 * say. */
	if (pkt->flags & (PACKET_ICMP_ERROR | PACKET_ICMP_OTHER) && !packet_is_fragment(pkt))
		return 0;
	if (pkt->direction == DIRECTION_FROM_NETDEV)
		return config.uplink_ifindex;
	endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.source);
	return endpoint ? endpoint->ifindex : 0;
}

/* Lets a packet from the detour arrive again, marked, at the device where it first arrived. */
static __always_inline int detour_return(struct packet *pkt)
{
	struct fragment_counter *counter = fragment_counter_get(pkt);
	struct detour_source *source = bpf_map_lookup_elem(&detour_sources, &pkt->key.source);
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);
	__u32 direction = pkt->direction & 1;
	struct detour_budget *total = bpf_map_lookup_elem(&detour_totals, &direction);
	__u32 ifindex = detour_origin(pkt);

	if (!ifindex)
		return -DROP_DETOUR_STRAY;
	if (!ethernet || !counter || !total)
		return -DROP_REWRITE_FAILED;
	counter->returned++;
	budget_return(total);
	if (source) {
		budget_return(&source->budget);
		__builtin_memcpy(ethernet->h_source, &source->ethernet_source, sizeof(mac_addr));
		__builtin_memcpy(ethernet->h_dest, &source->ethernet_destination, sizeof(mac_addr));
	}
	pkt->skb->mark = DETOUR_MARK;
	return bpf_redirect(ifindex, BPF_F_INGRESS) == TC_REDIRECT ? VERDICT_REDIRECTED
								   : -DROP_REWRITE_FAILED;
}

/*
 * Notes that a packet is back from the detour. Nobody else sees the mark, and a packet from
 * elsewhere that had it would gain nothing: it is only taken for one that comes in order.
 */
static __always_inline void detour_arrived(struct packet *pkt)
{
	if (!detour_ifindex(pkt) || pkt->skb->mark != DETOUR_MARK)
		return;
	pkt->skb->mark = 0;
	/* In case its first Ethernet addresses were forgotten meanwhile. */
	bpf_skb_change_type(pkt->skb, PACKET_HOST);
	pkt->flags |= PACKET_ORDERED;
}

#endif
