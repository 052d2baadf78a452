/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pods without a free port: another block is asked for, or the flow is refused. */
#ifndef ISTHMUS_SHORTAGE_H
#define ISTHMUS_SHORTAGE_H

#include "events.h"
#include "flow.h"

static __always_inline __u32 shortage_milliseconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000ULL;
}

static __always_inline __u32 shortage_family(const struct endpoint *owner)
{
	const ip_addr *address = &owner->nat_address;

	return !address->halves[0] && address->words[2] == bpf_htonl(0xffff) ? FAMILY_IPV4
									     : FAMILY_IPV6;
}

/* The owner's row, begun when it has none. */
static __always_inline struct shortage *shortage_get(struct scratch *s,
						     const struct endpoint *owner)
{
	struct shortage *shortage;

	s->shortage_key.ifindex = owner->ifindex;
	s->shortage_key.family = shortage_family(owner);
	shortage = bpf_map_lookup_elem(&shortages, &s->shortage_key);
	if (shortage)
		return shortage;
	__builtin_memset(&s->shortage, 0, sizeof(s->shortage));
	bpf_map_update_elem(&shortages, &s->shortage_key, &s->shortage, BPF_NOEXIST);
	return bpf_map_lookup_elem(&shortages, &s->shortage_key);
}

static __always_inline void shortage_emit(const struct scratch *s, const struct endpoint *owner,
					  __u32 kind)
{
	struct shortage_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return;
	event->header.type = bpf_core_type_id_local(struct shortage_event);
	event->header.cpu = bpf_get_smp_processor_id();
	event->header.time = bpf_ktime_get_ns();
	event->pod = s->reply.destination;
	event->remote = s->reply_key.source;
	event->remote_port = s->reply_key.source_port;
	event->protocol = s->reply_key.protocol;
	event->family = shortage_family(owner);
	event->kind = kind;
	event->ifindex = owner->ifindex;
	event->blocks = owner->block_count;
	bpf_ringbuf_submit(event, 0);
}

/* Asks the agent for a block, again and again while it is wanted: an event may be lost. */
static __always_inline void shortage_ask(const struct scratch *s, const struct endpoint *owner,
					 struct shortage *shortage, __u32 kind)
{
	__u32 now = shortage_milliseconds();
	seconds second = s->reply.created;

	if (shortage->blocks != owner->block_count || second - shortage->last > SHORTAGE_FORGET ||
	    shortage->since < config.loaded) {
		shortage->blocks = owner->block_count;
		shortage->since = second;
		shortage->asked = now - SHORTAGE_ASK_MS;
	}
	shortage->last = second;
	if (now - shortage->asked < SHORTAGE_ASK_MS)
		return;
	shortage->asked = now;
	shortage_emit(s, owner, kind);
}

/* Whether a block is on its way. What is not given in time will not be, until there is another
 * agent: the one that was asked is gone. */
static __always_inline bool shortage_waits(const struct scratch *s, const struct endpoint *owner,
					   struct shortage *shortage)
{
	if (!(owner->flags & ENDPOINT_MAY_GROW))
		return false;
	shortage_ask(s, owner, shortage, SHORTAGE_WAITING);
	return s->reply.created - shortage->since < SHORTAGE_PATIENCE;
}

/*
 * No port is left. An ICMP error would end a connection that succeeds at its next try, so a packet
 * whose block is on its way is dropped without one.
 */
static __always_inline int shortage_refuse(const struct scratch *s, const struct endpoint *owner,
					   struct shortage *shortage)
{
	struct nat_counter *counter;
	__u32 zero = 0;

	shortage->remote = s->reply_key.source;
	shortage->remote_port = s->reply_key.source_port;
	shortage->protocol = s->reply_key.protocol;
	if (shortage_waits(s, owner, shortage)) {
		__sync_fetch_and_add(&shortage->waiting, 1);
		return -DROP_PORT_BLOCK_WANTED;
	}
	__sync_fetch_and_add(&shortage->refused, 1);
	counter = bpf_map_lookup_elem(&nat_counters, &zero);
	if (counter)
		counter->exhausted++;
	if (shortage->told != s->reply.created) {
		shortage->told = s->reply.created;
		shortage_emit(s, owner, SHORTAGE_REFUSED);
	}
	return -DROP_PORTS_EXHAUSTED;
}

/*
 * What the search for a port of the owner's came to. The agent is also told when a port was found
 * but few are left, so that normally no packet has to wait for a block. Not static, as
 * port_search().
 */
__noinline int shortage_settle(const struct endpoint *owner, int rc)
{
	struct scratch *s = scratch_get();
	struct shortage *shortage;

	if (!s || !owner || !s->shortage_kind)
		return rc;
	shortage = shortage_get(s, owner);
	if (!shortage)
		return rc;
	if (s->shortage_kind == SHORTAGE_WAITING)
		return shortage_refuse(s, owner, shortage);
	if (owner->flags & ENDPOINT_MAY_GROW)
		shortage_ask(s, owner, shortage, SHORTAGE_NEAR);
	return rc;
}

#endif
