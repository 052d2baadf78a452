/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What we use of the kernel: the stable user-space headers, and by CO-RE the few
 * fields of structs that they do not have. Not a generated vmlinux.h: its names differ with every
 * kernel and collide with ours, and the object would depend on where it was compiled.
 */
#ifndef ISTHMUS_KERNEL_H
#define ISTHMUS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

/* include/linux/skbuff.h: what stands in the transport's checksum field */
enum ip_summed {
	CHECKSUM_NONE = 0,
	CHECKSUM_UNNECESSARY = 1,
	CHECKSUM_COMPLETE = 2,
	CHECKSUM_PARTIAL = 3,
};

struct sk_buff {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

/* include/linux/bpf.h; what a map's pointer shows of it (5.9) */
struct bpf_map {
	__u32 max_entries;
} __attribute__((preserve_access_index));

/* kernel/bpf/hashtab.c: what a BPF_MAP_TYPE_HASH is */
struct bucket;

struct bpf_htab {
	struct bucket *buckets;
	__u32 n_buckets;
} __attribute__((preserve_access_index));

struct bucket {
	void *head;
} __attribute__((preserve_access_index));

struct htab_elem {
	char key[0];
} __attribute__((preserve_access_index));

/* include/linux/bpf.h: what a program of an iterator is given (5.9) */
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

/* net/ipv4/udp.c: what a walk over UDP sockets hands to its program (5.9) */
struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
} __attribute__((preserve_access_index));

/* 6.2; and with type 0, from 6.17 on, bytes that can be read whatever they are */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

enum bpf_features {
	BPF_FEAT_RDONLY_CAST_TO_VOID = 0,
};

/* 6.2; the agent sets config.fast_checksum where it exists */
extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;

#endif
