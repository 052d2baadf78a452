/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow entries: what must be remembered because it was translated. An entry is the whole decision
 * for one direction, so that an established packet needs one map access.
 */
#ifndef ISTHMUS_FLOW_H
#define ISTHMUS_FLOW_H

#include "forward.h"

static __always_inline void flow_key_reverse(struct flow_key *to, const ip_addr *source,
					     __be16 source_port, const ip_addr *destination,
					     __be16 destination_port)
{
	to->source = *destination;
	to->destination = *source;
	to->source_port = destination_port;
	to->destination_port = source_port;
}

/* The key of an entry's pair: the reverse of what the packet leaves as. */
static __always_inline void flow_pair_key(struct flow_key *pair, const struct flow_key *key,
					  const struct flow *flow)
{
	__builtin_memset(pair, 0, sizeof(*pair));
	flow_key_reverse(pair, &flow->source, flow->source_port, &flow->destination,
			 flow->destination_port);
	pair->protocol = key->protocol;
}

/* Whether `pair` is the other entry of the flow that has an entry of this key. */
static __always_inline bool flow_is_pair(const struct flow *pair, const struct flow_key *key)
{
	return address_equals(&pair->source, &key->destination) &&
	       address_equals(&pair->destination, &key->source) &&
	       pair->source_port == key->destination_port &&
	       pair->destination_port == key->source_port;
}

static __always_inline bool flow_has_both_fins(const struct flow *flow)
{
	__u32 fins = FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY;

	return (flow->flags & fins) == fins;
}

/* Something says that the connection ends, true or not. */
static __always_inline bool flow_is_closing(const struct flow *flow)
{
	return flow->flags & (FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY | FLOW_RESET);
}

/* It has ended for whoever opened it, who may open it anew: a reset counts, true or not. */
static __always_inline bool flow_has_ended(const struct flow *flow)
{
	return flow->flags & FLOW_RESET || flow_has_both_fins(flow);
}

/* The connection has ended for sure, and its port may be used again. */
static __always_inline bool flow_is_closed(const struct flow *flow)
{
	return flow->flags & FLOW_RESET_VALID || flow_has_both_fins(flow);
}

/* The port of the side that was opened to, host order. */
static __always_inline __u16 flow_remote_port(const struct flow_key *key, const struct flow *flow)
{
	return bpf_ntohs(flow->flags & FLOW_REPLY ? key->source_port : key->destination_port);
}

/*
 * Seconds after which an entry that nothing refreshed is dead (RFC 4787 REQ-5, 5382 REQ-5, 5508
 * REQ-2). A connection that one side has closed is established still (RFC 7857 section 2).
 */
static __always_inline seconds flow_timeout(const struct flow_key *key, const struct flow *flow)
{
	bool replied = flow->flags & FLOW_SEEN_REPLY;

	if (protocol_has_connections(key->protocol)) {
		if (flow_has_ended(flow))
			return config.timeouts.tcp_closing;
		return replied ? config.timeouts.tcp_established : config.timeouts.tcp_opening;
	}
	if (key->protocol != IPPROTO_UDP)
		return config.timeouts.icmp;
	if (flow_remote_port(key, flow) < 1024)
		return config.timeouts.udp_well_known;
	/* Answers to what was handed over are seen elsewhere: a client is taken to get them. */
	if (flow->flags & (FLOW_SEEN_REPLY | FLOW_ENCAPSULATE))
		return config.timeouts.udp_two_way;
	return config.timeouts.udp_one_way;
}

static __always_inline bool flow_is_idle(const struct flow_key *key, const struct flow *flow,
					 seconds now)
{
	/* The clock of another CPU may be a tick ahead. */
	return (__s32)(now - flow->seen) >= (__s32)flow_timeout(key, flow);
}

#endif
