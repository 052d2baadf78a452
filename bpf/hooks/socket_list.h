/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which UDP sockets of a namespace wait for a backend that serves no more, for who ends them. */
#ifndef ISTHMUS_SOCKET_LIST_H
#define ISTHMUS_SOCKET_LIST_H

SEC("iter/udp")
int list_stale(struct bpf_iter__udp *context)
{
	struct udp_sock *socket = context->udp_sk;
	struct socket_peer *peer;
	__u64 cookie;

	if (!socket)
		return 0;
	peer = bpf_sk_storage_get(&socket_peers, socket, NULL, 0);
	if (!peer || !peer_is_stale(peer))
		return 0;
	cookie = bpf_get_socket_cookie(socket);
	bpf_seq_write(context->meta->seq, &cookie, sizeof(cookie));
	return 0;
}

#endif
