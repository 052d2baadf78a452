/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The load-time configuration: constants to the verifier, which removes what they switch off. */
#ifndef ISTHMUS_CONFIG_H
#define ISTHMUS_CONFIG_H

#include "types.h"

const volatile struct config config = {};

/*
 * Copies a part of the configuration. A plain copy would drop "volatile", and the compiler would
 * fold in the zeroes that it sees here instead of what is there after load.
 */
static __always_inline void config_copy(void *to, const volatile void *from, __u32 bytes)
{
	const void *hidden = (const void *)from;

	asm volatile("" : "+r"(hidden));
	__builtin_memcpy(to, hidden, bytes);
}

static __always_inline bool prefix_holds(const volatile struct prefix *prefix,
					 const ip_addr *address)
{
	return !((address->halves[0] ^ prefix->address.halves[0]) & prefix->mask.halves[0]) &&
	       !((address->halves[1] ^ prefix->address.halves[1]) & prefix->mask.halves[1]);
}

static __always_inline bool address_is_inside(const ip_addr *address)
{
	for (__u32 i = 0; i < INSIDE_MAX && i < config.inside_count; i++)
		if (prefix_holds(&config.inside[i], address))
			return true;
	return false;
}

/* Whether only services have such addresses. */
static __always_inline bool address_is_cluster_ip(const ip_addr *address)
{
	for (__u32 i = 0; i < SERVICE_CIDRS_MAX && i < config.service_cidr_count; i++)
		if (prefix_holds(&config.service_cidrs[i], address))
			return true;
	return false;
}

/* Whether the address is one that this node gives to pods. A pod may have another one. */
static __always_inline bool address_is_local(const ip_addr *address)
{
	for (__u32 i = 0; i < LOCAL_MAX && i < config.local_count; i++)
		if (prefix_holds(&config.local[i], address))
			return true;
	return false;
}

static __always_inline bool address_equals(const ip_addr *address, const volatile ip_addr *other)
{
	return address->halves[0] == other->halves[0] && address->halves[1] == other->halves[1];
}

static __always_inline bool address_is_unspecified(const ip_addr *address)
{
	return !address->halves[0] && !address->halves[1];
}

/* Left to the host: never in a pod's block. */
static __always_inline bool port_is_reserved(__u16 port)
{
	for (__u32 i = 0; i < RESERVED_MAX && i < config.reserved_count; i++) {
		if (port >= config.reserved[i].first && port <= config.reserved[i].last)
			return true;
	}
	return false;
}

/* Host order in, because ranges are compared. */
static __always_inline bool port_is_nat(__u16 port)
{
	return port >= config.nat_port_first && port <= config.nat_port_last &&
	       !port_is_reserved(port);
}

static __always_inline bool port_is_node_port(__u16 port)
{
	return port >= config.node_port_first && port <= config.node_port_last;
}

/* Seconds of the monotonic clock; the coarse clock is a memory read (5.11). */
static __always_inline seconds clock_seconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000000ULL;
}

#endif
