/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map, with the reason for its size, and nothing else. */
#ifndef ISTHMUS_MAPS_H
#define ISTHMUS_MAPS_H

#include "types.h"

/* Local addresses: two a pod, a few for the node. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, ip_addr);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

/* One entry a node and family, and what is never translated. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_key);
	__type(value, struct route);
} routes SEC(".maps");

/* Frontends: three or four a service port and family. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct backend_key);
	__type(value, struct backend);
} backends SEC(".maps");

/* 32 chunks a set of backends of the services that ask for it: 32 KiB each. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct maglev_key);
	__type(value, struct maglev_chunk);
} maglev SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_range_key);
	__type(value, __u32);
} source_ranges SEC(".maps");

/* Of UDP services only: nobody else's flows are removed for want of their backend. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct serving_key);
	__type(value, __u32);
} serving SEC(".maps");

/* Pods of this node by the frontends that other nodes may hand packets over for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct direct_key);
	__type(value, struct direct_backend);
} direct_backends SEC(".maps");

/* Backends that were used; the agent removes those that are gone. A CPU counts its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hit_key);
	__type(value, struct hit_counter);
} hits SEC(".maps");

/* LRU: a flood of clients makes those forgotten that have been away longest, and nobody refused. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
} affinities SEC(".maps");

/*
 * HASH and not LRU: an established flow is never evicted to make room for a new one.
 * Two entries a flow; the agent may set another size before load. Not preallocated: memory
 * follows use, and an element that another CPU still reads is not handed out again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Who may remove a flow or take its port over, by a hash of its reply key: one CPU at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} flow_locks SEC(".maps");

/* One element. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_total);
} flow_totals SEC(".maps");

/* By ifindex of the device where the first packet came in: pods, and the uplink. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct flow_count);
} flow_counts SEC(".maps");

/* Up to three entries a mapping and remote: two name it from both sides, one is a contact. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mapping_key);
	__type(value, struct mapping);
} mappings SEC(".maps");

/* Lives in the socket and goes with it: nothing to size, to evict or to sweep. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_peer);
} socket_peers SEC(".maps");

/*
 * Peers of a UDP socket after its first: few programs have them. Two entries a peer, one a side.
 * The least recently used give way, and what closed sockets leave is used least.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct datagram_peer_key);
	__type(value, struct socket_peer);
} datagram_peers SEC(".maps");

/*
 * A cache: losing an entry loses one datagram. Entries of datagrams without a first fragment are
 * few, because the detour admits few; so no flood of them makes those leave that have one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

/* By sender. Forgetting one gives it a new budget; the total of its direction still holds. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, ip_addr);
	__type(value, struct detour_source);
} detour_sources SEC(".maps");

/* By enum direction. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct detour_budget);
} detour_totals SEC(".maps");

/* By enum direction. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct fragment_counter);
} fragment_stats SEC(".maps");

/* By the last bits of the other node's address; two nodes with the same ones take turns. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NODE_MTU_SLOTS);
	__type(key, __u32);
	__type(value, struct node_mtu);
} node_mtus SEC(".maps");

/* By the last bits of the next hop's address; two with the same ones take turns. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NEXT_HOP_SLOTS);
	__type(key, __u32);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

/* One element. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_counter);
} xdp_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, struct drop_key);
	__type(value, struct drop_counter);
} drops SEC(".maps");

/* By a hash of the tuple; a later tuple takes the slot of an earlier one. 360 KiB a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WAY_SLOTS);
	__type(key, __u32);
	__type(value, struct way);
} ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_counter);
} nat_counters SEC(".maps");

/* Pods that once had no port left. A new pod has a new device, so it begins with nothing here. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct shortage_key);
	__type(value, struct shortage);
} shortages SEC(".maps");

/* Keeps a flood of drops from becoming a flood of events. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct drop_key);
	__type(value, struct sample);
} samples SEC(".maps");

/* Not pinned: its records are read with the BTF of the object that wrote them. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576);
} events SEC(".maps");

/* Holds the timer that removes dead flows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweep);
} sweeps SEC(".maps");

/* Walks between their pieces, by enum walker. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WALKER_COUNT);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

/* Room that the stack does not have (512 bytes over all calls). By enum scratch_user. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USERS);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

#endif
