/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last steps of a packet on this node: hop limit, MTU, Ethernet addresses, and the way out. */
#ifndef ISTHMUS_FORWARD_H
#define ISTHMUS_FORWARD_H

#include "cut.h"
#include "refusal.h"

enum fib_result {
	FIB_SUCCESS = 0,
	FIB_NO_NEIGHBOUR = 7, /* the next hop is known, its MAC is not yet: the kernel will ask */
	FIB_FRAGMENTATION_NEEDED = 8,
	FIB_ASK_MTU = 1, /* as length: asks for the MTU, checks no packet against it (5.12) */
	FIB_AF_INET = 2,
	FIB_AF_INET6 = 10,
	IPV6_JUMBO = 0xc2,
};

/* A header of hop-by-hop options with one option, the length of a jumbogram (RFC 2675). */
struct jumbo_option {
	__u8 next;
	__u8 length; /* in units of 8 bytes, less one */
	__u8 type;
	__u8 bytes;
	__be32 payload;
};

/*
 * Bytes of the option that a kernel puts into IPv6 packets beyond 64 KiB (BIG TCP, 5.19), and takes
 * out again before it cuts them to segments.
 */
static __always_inline __u32 packet_jumbo_bytes(const struct packet *pkt)
{
	const struct jumbo_option *jumbo;
	const struct ipv6hdr *ip;

	if (pkt->family != FAMILY_IPV6 || pkt->transport <= ETHERNET_BYTES + IPV6_BYTES)
		return 0;
	ip = packet_at(pkt, ETHERNET_BYTES, IPV6_BYTES + sizeof(*jumbo));
	if (!ip || ip->payload_len || ip->nexthdr != IPPROTO_HOPOPTS)
		return 0;
	jumbo = (const struct jumbo_option *)(ip + 1);
	return !jumbo->length && jumbo->type == IPV6_JUMBO ? sizeof(*jumbo) : 0;
}

/* Bytes of the largest IP packet that will be on the wire: a GSO packet is cut to segments. */
static __always_inline __u32 packet_wire_length(const struct packet *pkt)
{
	__u32 segment = pkt->skb->gso_size;

	if (!segment)
		return pkt->length;
	if (segment == SCTP_GSO_SEGMENT)
		return 0; /* no larger than the way of its sender allows */
	return segment + pkt->transport - ETHERNET_BYTES + pkt->transport_bytes -
	       packet_jumbo_bytes(pkt);
}

/* Hop limit and MTU of a packet that is going to be forwarded (RFC 1812, RFC 8200). */
static __always_inline int forward_check(struct packet *pkt, __u32 mtu)
{
	if (pkt->ttl <= 1)
		return answer_time_exceeded(pkt);
	if (packet_wire_length(pkt) > mtu)
		return cut_plan(pkt, mtu) ? 0 : answer_too_big(pkt, mtu);
	return 0;
}

/*
 * To a pod of this node, straight into its namespace (bpf_redirect_peer, 5.10): past the queue of
 * its device, which only a pod with limited bandwidth has.
 */
static __always_inline int forward_to_container(struct packet *pkt, __u32 ifindex,
						const mac_addr *mac, bool limited)
{
	struct ethhdr *ethernet = packet_at(pkt, 0, ETHERNET_BYTES);

	if (pkt->cut)
		return cut_send(pkt);
	if (!ethernet)
		return -DROP_REWRITE_FAILED;
	__builtin_memcpy(ethernet->h_dest, mac, sizeof(*mac));
	config_copy(ethernet->h_source, &config.gateway_mac, sizeof(*mac));
	if ((limited ? bpf_redirect(ifindex, 0) : bpf_redirect_peer(ifindex, 0)) != TC_REDIRECT)
		return -DROP_REWRITE_FAILED;
	return VERDICT_REDIRECTED;
}

/* The kernel resolves and keeps the next hop's MAC (5.10). */
static __always_inline int redirect_to_neighbour(__u32 ifindex, const ip_addr *next_hop, bool ipv4)
{
	struct bpf_redir_neigh neighbour = {};

	if (ipv4) {
		neighbour.nh_family = FIB_AF_INET;
		neighbour.ipv4_nh = next_hop->words[3];
	} else {
		neighbour.nh_family = FIB_AF_INET6;
		__builtin_memcpy(neighbour.ipv6_nh, next_hop, sizeof(*next_hop));
	}
	if (bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0) != TC_REDIRECT)
		return -DROP_REWRITE_FAILED;
	return VERDICT_REDIRECTED;
}

/* Out of a device to a known next hop. */
static __always_inline int forward_to_next_hop(struct packet *pkt, __u32 ifindex,
					       const ip_addr *next_hop)
{
	if (pkt->cut)
		return cut_send(pkt);
	return redirect_to_neighbour(ifindex, next_hop, pkt->family == FAMILY_IPV4);
}

_Static_assert(sizeof(struct bpf_fib_lookup) <= sizeof(((struct scratch *)0)->fib),
	       "room of a question");

/* The question to the routing table: the way to `to` of a packet of this length. */
static __always_inline void fib_question(struct bpf_fib_lookup *fib, __u32 ifindex,
					 const struct flow_key *to, __u16 length)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ifindex;
	fib->l4_protocol = to->protocol;
	fib->sport = to->source_port;
	fib->dport = to->destination_port;
	fib->tot_len = length;
	if (ipv6_is_mapped(&to->destination)) {
		fib->family = FIB_AF_INET;
		fib->ipv4_src = to->source.words[3];
		fib->ipv4_dst = to->destination.words[3];
	} else {
		fib->family = FIB_AF_INET6;
		__builtin_memcpy(fib->ipv6_src, &to->source, sizeof(ip_addr));
		__builtin_memcpy(fib->ipv6_dst, &to->destination, sizeof(ip_addr));
	}
}

/*
 * The MTU of the way while its neighbour is not known: then the kernel tells it only to a packet
 * that is larger.
 */
static __always_inline __u32 fib_mtu(void *context, __u32 ifindex, const struct flow_key *to,
				     struct bpf_fib_lookup *fib)
{
	fib_question(fib, ifindex, to, 0xffff);
	if (bpf_fib_lookup(context, fib, sizeof(*fib), 0) != FIB_FRAGMENTATION_NEEDED)
		return config.uplink_mtu;
	return fib->mtu_result;
}

/*
 * What the node's routing table says itself to a packet that came in by a device; see fib_way().
 * The context is an skb or an xdp_md. MACs, where they are known, are left in the scratch's `fib`.
 */
static __always_inline int fib_ask(void *context, __u32 ifindex, const struct flow_key *to,
				   struct flow *way)
{
	struct scratch *s = scratch_get();
	struct bpf_fib_lookup *fib;
	long rc;

	if (!s || !to || !way)
		return 0;
	fib = (struct bpf_fib_lookup *)s->fib;
	fib_question(fib, ifindex, to, FIB_ASK_MTU);
	rc = bpf_fib_lookup(context, fib, sizeof(*fib), 0);
	if (rc != FIB_SUCCESS && rc != FIB_NO_NEIGHBOUR)
		return 0;
	way->ifindex_out = fib->ifindex;
	if (fib->family == FIB_AF_INET) {
		way->next_hop.words[0] = 0;
		way->next_hop.words[1] = 0;
		way->next_hop.words[2] = bpf_htonl(0xffff);
		way->next_hop.words[3] = fib->ipv4_dst;
	} else {
		__builtin_memcpy(&way->next_hop, fib->ipv6_dst, sizeof(ip_addr));
	}
	way->mtu = rc == FIB_SUCCESS ? fib->mtu_result : fib_mtu(context, ifindex, to, fib);
	way->resolved = clock_seconds();
	return 1;
}

static __always_inline struct route *route_lookup(const ip_addr *address)
{
	struct route_key key = {.prefix_length = 128, .prefix = *address};

	return bpf_map_lookup_elem(&routes, &key);
}

/* What the routing table says of the way to another node. */
static __always_inline int node_mtu_ask(void *context, __u32 ifindex, struct node_mtu *known)
{
	struct scratch *s = scratch_get();
	__u32 family;

	if (!s)
		return 0;
	family = ipv6_is_mapped(&known->next_hop) ? FAMILY_IPV4 : FAMILY_IPV6;
	__builtin_memset(&s->node_key, 0, sizeof(s->node_key));
	s->node_key.destination = known->next_hop;
	config_copy(&s->node_key.source, &config.node_address[family], sizeof(ip_addr));
	known->mtu = config.uplink_mtu;
	if (fib_ask(context, ifindex, &s->node_key, &s->node_way) && s->node_way.mtu < known->mtu)
		known->mtu = s->node_way.mtu;
	known->resolved = clock_seconds();
	return 0;
}

/* Asked once a second and CPU. Not static, like fib_way(): the verifier then looks at it once, not
 * once for each way that leads here. */
__noinline int node_mtu_refresh(struct __sk_buff *skb, struct node_mtu *known)
{
	return known ? node_mtu_ask(skb, skb->ifindex, known) : 0;
}

/* What is known of the way to another node; `stale` when that is not of this second. */
static __always_inline struct node_mtu *node_mtu_find(const ip_addr *next_hop, bool *stale)
{
	__u32 slot = next_hop->bytes[15] & (NODE_MTU_SLOTS - 1);
	struct node_mtu *known = bpf_map_lookup_elem(&node_mtus, &slot);

	if (!known)
		return NULL;
	*stale = known->resolved != clock_seconds() || !address_equals(&known->next_hop, next_hop);
	known->next_hop = *next_hop;
	return known;
}

/* The route to a node may allow less than the device does. */
static __always_inline __u32 node_mtu(struct __sk_buff *skb, const ip_addr *next_hop)
{
	bool stale = false;
	struct node_mtu *known = node_mtu_find(next_hop, &stale);

	if (!known)
		return config.uplink_mtu;
	if (stale)
		node_mtu_refresh(skb, known);
	return known->mtu;
}

/* The route to the node of a pod; NULL when the address is no pod's of another node. */
static __always_inline struct route *route_to_node(const ip_addr *address)
{
	struct route *route;

	if (!address_is_inside(address))
		return NULL;
	route = route_lookup(address);
	return route && route->type == ROUTE_NODE ? route : NULL;
}

/* What a packet around a packet takes of the way's MTU. */
static __always_inline void way_reserve(struct flow *way)
{
	if (way->flags & FLOW_ENCAPSULATE)
		way->mtu -= ipv6_is_mapped(&way->destination) ? IPV4_BYTES : IPV6_BYTES;
}

/*
 * Asks the node's routing table for the way to `to`; 0 when there is none. To a pod of another
 * node, the way to that node has its MTU, too.
 */
__noinline int fib_way(struct __sk_buff *skb, const struct flow_key *to, struct flow *way)
{
	struct route *route;
	__u32 mtu;

	if (!to || !way || !fib_ask(skb, skb->ifindex, to, way))
		return 0;
	route = route_to_node(&to->destination);
	if (!route)
		return 1;
	mtu = node_mtu(skb, &route->next_hop);
	if (mtu < way->mtu)
		way->mtu = mtu;
	way_reserve(way);
	return 1;
}

static __always_inline bool fib_resolve(struct packet *pkt, const struct flow_key *to,
					struct flow *way)
{
	return fib_way(pkt->skb, to, way);
}

/* Sends an answer back to where the refused packet came from; or, when that is not on the way to
 * who is answered, by the routing table. False when it cannot. Not static, so that the verifier
 * walks it once. */
__noinline bool answer_leave(struct __sk_buff *skb, const ip_addr *to, __u32 by_route)
{
	struct scratch *s = scratch_get();

	if (!s || !to)
		return false;
	if (!by_route)
		return bpf_redirect(skb->ifindex, 0) == TC_REDIRECT;
	__builtin_memset(&s->pair_key, 0, sizeof(s->pair_key));
	s->pair_key.destination = *to;
	return fib_ask(skb, skb->ifindex, &s->pair_key, &s->flow) &&
	       redirect_to_neighbour(s->flow.ifindex_out, &s->flow.next_hop, ipv6_is_mapped(to)) >
		       0;
}

static __always_inline int forward_to_endpoint(struct packet *pkt, const struct endpoint *to)
{
	int rc = forward_check(pkt, to->mtu);

	rc = rc ?: packet_decrement_ttl(pkt);
	return rc ?: forward_to_container(pkt, to->ifindex, &to->mac, to->flags & ENDPOINT_LIMITED);
}

/* A piece of what was cut. It was checked and translated before, so its destination is enough. */
static __always_inline int forward_piece(struct packet *pkt)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &pkt->key.destination);
	struct scratch *s = scratch_get();
	struct route *route;

	pkt->skb->mark = 0;
	if (endpoint && endpoint->ifindex)
		return forward_to_container(pkt, endpoint->ifindex, &endpoint->mac,
					    endpoint->flags & ENDPOINT_LIMITED);
	route = route_lookup(&pkt->key.destination);
	if (route && route->type == ROUTE_NODE)
		return forward_to_next_hop(pkt, config.uplink_ifindex, &route->next_hop);
	if (!s || !fib_resolve(pkt, &pkt->key, &s->flow))
		return -DROP_NO_ROUTE;
	return forward_to_next_hop(pkt, s->flow.ifindex_out, &s->flow.next_hop);
}

#endif
