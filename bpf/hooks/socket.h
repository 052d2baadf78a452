/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a process of a pod or of the node does with a socket: it names a frontend, and its packets
 * have the backend's address from the first on. It is told the frontend when it asks.
 */
#ifndef ISTHMUS_HOOK_SOCKET_H
#define ISTHMUS_HOOK_SOCKET_H

/* connect(): TCP and UDP. */
SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *context)
{
	struct socket_name name = {};
	int rc;

	name_read4(&name, context);
	rc = socket_connect(context, &name);
	if (rc < 0)
		return socket_refuse(rc);
	if (!rc)
		name_write4(&name, context);
	return SOCKET_ALLOW;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *context)
{
	struct socket_name name = {};
	int rc;

	name_read6(&name, context);
	rc = socket_connect(context, &name);
	if (rc < 0)
		return socket_refuse(rc);
	if (!rc)
		name_write6(&name, context);
	return SOCKET_ALLOW;
}

/* sendto() and sendmsg() with an address: UDP only. */
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *context)
{
	struct socket_name name = {};
	int rc;

	name_read4(&name, context);
	rc = socket_send(context, &name);
	if (rc < 0)
		return socket_refuse(rc);
	if (!rc)
		name_write4(&name, context);
	return SOCKET_ALLOW;
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *context)
{
	struct socket_name name = {};
	int rc;

	name_read6(&name, context);
	rc = socket_send(context, &name);
	if (rc < 0)
		return socket_refuse(rc);
	if (!rc)
		name_write6(&name, context);
	return SOCKET_ALLOW;
}

static __always_inline int show4(struct bpf_sock_addr *context)
{
	struct socket_name name = {};

	name_read4(&name, context);
	if (!socket_show(context, &name))
		name_write4(&name, context);
	return SOCKET_ALLOW;
}

static __always_inline int show6(struct bpf_sock_addr *context)
{
	struct socket_name name = {};

	name_read6(&name, context);
	if (!socket_show(context, &name))
		name_write6(&name, context);
	return SOCKET_ALLOW;
}

/* recvfrom() and recvmsg(): UDP only. */
SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *context)
{
	return show4(context);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *context)
{
	return show6(context);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *context)
{
	return show4(context);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *context)
{
	return show6(context);
}

#endif
