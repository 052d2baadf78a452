/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The guard of the NAT port range: no process of the host's namespace binds a port that flows own.
 * Ports that the kernel chooses keep away by net.ipv4.ip_local_reserved_ports. */
#ifndef ISTHMUS_BIND_H
#define ISTHMUS_BIND_H

enum bind_verdict {
	BIND_REFUSE = 0, /* EPERM */
	BIND_ALLOW = 1,
};

static __always_inline int bind_check(struct bpf_sock_addr *context)
{
	if (!port_is_nat(bpf_ntohs(context->user_port)))
		return BIND_ALLOW;
	return bpf_get_netns_cookie(context) == config.netns_cookie ? BIND_REFUSE : BIND_ALLOW;
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr *context)
{
	return bind_check(context);
}

SEC("cgroup/bind6")
int bind6(struct bpf_sock_addr *context)
{
	return bind_check(context);
}

#endif
