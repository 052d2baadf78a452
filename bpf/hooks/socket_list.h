/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which UDP sockets of a namespace have a peer, for who ends those whose backend is gone. */
#ifndef ISTHMUS_SOCKET_LIST_H
#define ISTHMUS_SOCKET_LIST_H

SEC("iter/udp")
int list_udp_peers(struct bpf_iter__udp *context)
{
	struct udp_sock *socket = context->udp_sk;
	struct socket_record record = {};
	struct socket_peer *peer;

	if (!socket)
		return 0;
	peer = bpf_sk_storage_get(&socket_peers, socket, NULL, 0);
	if (!peer)
		return 0;
	record.cookie = bpf_get_socket_cookie(socket);
	record.peer = *peer;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

#endif
