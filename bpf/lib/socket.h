/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services at the socket: the backend is chosen before there is a packet, so none is translated. */
#ifndef ISTHMUS_SOCKET_H
#define ISTHMUS_SOCKET_H

#include <linux/errno.h>

#include "service.h"

/* What a hook of a socket returns. */
enum socket_verdict {
	SOCKET_REFUSE = 0,
	SOCKET_ALLOW = 1,
};

/* What a step of a hook returns: 0, the negative of an errno, or this. */
enum socket_step {
	SOCKET_UNCHANGED = 1, /* nothing of it is a service's */
};

/* An address and port that a socket names. */
struct socket_name {
	ip_addr address;
	__be16 port;
};

static __always_inline void name_read4(struct socket_name *name, struct bpf_sock_addr *context)
{
	name->address.words[0] = 0;
	name->address.words[1] = 0;
	name->address.words[2] = bpf_htonl(0xffff);
	name->address.words[3] = context->user_ip4;
	name->port = context->user_port;
}

/* A socket of IPv6 names an IPv4 address as our maps do (RFC 4291 section 2.5.5.2). */
static __always_inline void name_read6(struct socket_name *name, struct bpf_sock_addr *context)
{
	name->address.words[0] = context->user_ip6[0];
	name->address.words[1] = context->user_ip6[1];
	name->address.words[2] = context->user_ip6[2];
	name->address.words[3] = context->user_ip6[3];
	name->port = context->user_port;
}

static __always_inline void name_write4(const struct socket_name *name,
					struct bpf_sock_addr *context)
{
	context->user_ip4 = name->address.words[3];
	context->user_port = name->port;
}

static __always_inline void name_write6(const struct socket_name *name,
					struct bpf_sock_addr *context)
{
	context->user_ip6[0] = name->address.words[0];
	context->user_ip6[1] = name->address.words[1];
	context->user_ip6[2] = name->address.words[2];
	context->user_ip6[3] = name->address.words[3];
	context->user_port = name->port;
}

static __always_inline bool name_equals(const struct socket_name *name, const ip_addr *address,
					__be16 port)
{
	return name->port == port && name->address.halves[0] == address->halves[0] &&
	       name->address.halves[1] == address->halves[1];
}

static __always_inline bool name_is_loopback4(const struct socket_name *name)
{
	return !name->address.halves[0] && name->address.words[2] == bpf_htonl(0xffff) &&
	       name->address.bytes[12] == 127;
}

static __always_inline bool socket_is_of_host(struct bpf_sock_addr *context)
{
	return bpf_get_netns_cookie(context) == config.netns_cookie;
}

/* A process of the node reaches NodePorts at 127.0.0.0/8 too; a pod's loopback is its own. */
static __always_inline void socket_localhost(struct bpf_sock_addr *context,
					     const struct socket_name *to, struct service_key *key)
{
	if (!name_is_loopback4(to) || !port_is_node_port(bpf_ntohs(to->port)))
		return;
	if (socket_is_of_host(context))
		config_copy(&key->address, &config.node_address[FAMILY_IPV4], sizeof(ip_addr));
}

static __always_inline struct service *socket_service(struct bpf_sock_addr *context,
						      const struct socket_name *to)
{
	struct service_key key = {
		.address = to->address,
		.port = to->port,
		.protocol = context->protocol,
	};

	if (context->protocol != IPPROTO_TCP && context->protocol != IPPROTO_UDP)
		return NULL;
	socket_localhost(context, to, &key);
	return bpf_map_lookup_elem(&services, &key);
}

/* A new backend for the frontend. */
static __always_inline int peer_choose(struct socket_peer *peer, const struct service *service)
{
	struct backend *backend = service_select_backend(service);

	if (!backend)
		return -ECONNREFUSED;
	peer->backend = backend->address;
	peer->backend_port = backend->port;
	peer->service_id = service->id;
	peer->generation = service->generation;
	return 0;
}

static __always_inline void peer_begin(struct socket_peer *peer, const struct socket_name *to)
{
	peer->frontend = to->address;
	peer->frontend_port = to->port;
}

static __always_inline void peer_backend(const struct socket_peer *peer, struct socket_name *name)
{
	name->address = peer->backend;
	name->port = peer->backend_port;
}

static __always_inline void peer_frontend(const struct socket_peer *peer, struct socket_name *name)
{
	name->address = peer->frontend;
	name->port = peer->frontend_port;
}

static __always_inline bool peer_has_frontend(const struct socket_peer *peer,
					      const struct socket_name *name)
{
	return name_equals(name, &peer->frontend, peer->frontend_port);
}

static __always_inline bool peer_has_backend(const struct socket_peer *peer,
					     const struct socket_name *name)
{
	return name_equals(name, &peer->backend, peer->backend_port);
}

/* connect(): from now on the socket has a backend, and this one only. */
static __always_inline int socket_connect(struct bpf_sock_addr *context, struct socket_name *name)
{
	struct service *service = socket_service(context, name);
	struct socket_peer peer = {};
	struct socket_peer *kept;
	int rc;

	if (!service) {
		bpf_sk_storage_delete(&socket_peers, context->sk);
		return SOCKET_UNCHANGED;
	}
	peer_begin(&peer, name);
	rc = peer_choose(&peer, service);
	if (rc)
		return rc;
	kept = bpf_sk_storage_get(&socket_peers, context->sk, &peer, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return -ENOMEM;
	*kept = peer;
	peer_backend(&peer, name);
	return 0;
}

struct backend_search {
	struct backend_key key;
	const struct socket_peer *peer;
	bool found;
};

static long backend_search_step(__u32 slot, struct backend_search *search)
{
	struct backend *backend;

	search->key.slot = slot;
	backend = bpf_map_lookup_elem(&backends, &search->key);
	if (!backend || backend->port != search->peer->backend_port ||
	    !address_equals(&backend->address, &search->peer->backend))
		return 0;
	search->found = true;
	return 1;
}

/* Whether the backend is still one of the service's; asked once a change of the service. */
static __always_inline bool peer_is_current(struct socket_peer *peer, const struct service *service)
{
	struct backend_search search = {
		.key = {.service_id = service->id, .generation = service->generation},
		.peer = peer,
	};

	if (peer->service_id == service->id && peer->generation == service->generation)
		return true;
	bpf_loop(service->backend_count, backend_search_step, &search, 0);
	if (!search.found)
		return false;
	peer->service_id = service->id;
	peer->generation = service->generation;
	return true;
}

static __always_inline struct socket_peer *
more_peers_find(struct bpf_sock_addr *context, const struct socket_name *name, __u8 side)
{
	struct datagram_peer_key key = {
		.cookie = bpf_get_socket_cookie(context),
		.address = name->address,
		.port = name->port,
		.side = side,
	};

	return bpf_map_lookup_elem(&datagram_peers, &key);
}

static __always_inline int more_peers_add(struct bpf_sock_addr *context,
					  const struct socket_peer *peer)
{
	struct datagram_peer_key key = {
		.cookie = bpf_get_socket_cookie(context),
		.address = peer->frontend,
		.port = peer->frontend_port,
		.side = PEER_FRONTEND,
	};

	if (bpf_map_update_elem(&datagram_peers, &key, peer, BPF_ANY))
		return -ENOMEM;
	key.address = peer->backend;
	key.port = peer->backend_port;
	key.side = PEER_BACKEND;
	return bpf_map_update_elem(&datagram_peers, &key, peer, BPF_ANY) ? -ENOMEM : 0;
}

/* Whether the socket knows this backend by another frontend: its answers would be shown as that's.
 */
static __always_inline bool peer_collides(struct bpf_sock_addr *context,
					  const struct socket_peer *first,
					  const struct socket_peer *peer)
{
	struct socket_name backend, frontend;
	struct socket_peer *other;

	peer_backend(peer, &backend);
	peer_frontend(peer, &frontend);
	if (peer_has_backend(first, &backend) && !peer_has_frontend(first, &frontend))
		return true;
	if (!first->more)
		return false;
	other = more_peers_find(context, &backend, PEER_BACKEND);
	return other && !peer_has_frontend(other, &frontend);
}

/*
 * A backend for a socket that may have several frontends. Two of them with one backend cannot be
 * told apart by their answers: a pod's datagrams to the second go by the frontend's address, and
 * are translated as packets. There, a port of their own tells them apart.
 */
static __always_inline int peer_choose_distinct(struct bpf_sock_addr *context,
						const struct socket_peer *first,
						struct socket_peer *peer,
						const struct service *service)
{
	struct socket_peer chosen = *peer;
	int rc = peer_choose(&chosen, service);

	if (rc)
		return rc;
	if (peer_collides(context, first, &chosen) && !socket_is_of_host(context)) {
		chosen.backend = chosen.frontend;
		chosen.backend_port = chosen.frontend_port;
	}
	*peer = chosen;
	return 0;
}

/* A frontend beside the first one of this socket. */
static __always_inline int datagram_more(struct bpf_sock_addr *context, struct socket_name *name,
					 const struct socket_peer *first,
					 const struct service *service)
{
	struct socket_peer *known = more_peers_find(context, name, PEER_FRONTEND);
	struct socket_peer peer = {};
	int rc;

	if (known && peer_is_current(known, service)) {
		peer_backend(known, name);
		return 0;
	}
	peer_begin(&peer, name);
	rc = peer_choose_distinct(context, first, &peer, service);
	rc = rc ?: more_peers_add(context, &peer);
	if (!rc)
		peer_backend(&peer, name);
	return rc;
}

/*
 * sendto(): every datagram names a frontend. The socket keeps the backend that it has there, as
 * a flow does, until the backend is none of the service's.
 */
static __always_inline int socket_send(struct bpf_sock_addr *context, struct socket_name *name)
{
	struct service *service = socket_service(context, name);
	struct socket_peer fresh = {};
	struct socket_peer *first;
	int rc = 0;

	if (!service)
		return SOCKET_UNCHANGED;
	peer_begin(&fresh, name);
	first = bpf_sk_storage_get(&socket_peers, context->sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!first)
		return -ENOMEM;
	if (!peer_has_frontend(first, name)) {
		first->more = 1;
		return datagram_more(context, name, first, service);
	}
	if (!first->service_id || !peer_is_current(first, service))
		rc = peer_choose_distinct(context, first, first, service);
	if (!rc)
		peer_backend(first, name);
	return rc;
}

/* recvfrom() and getpeername(): a backend of this socket is shown by the name it was asked by. */
static __always_inline int socket_show(struct bpf_sock_addr *context, struct socket_name *name)
{
	struct socket_peer *peer = bpf_sk_storage_get(&socket_peers, context->sk, NULL, 0);

	if (!peer)
		return SOCKET_UNCHANGED;
	if (!peer_has_backend(peer, name))
		peer = peer->more ? more_peers_find(context, name, PEER_BACKEND) : NULL;
	if (!peer)
		return SOCKET_UNCHANGED;
	peer_frontend(peer, name);
	return 0;
}

/* Says why; where the kernel has no words for it (before 5.18), it is EPERM. */
static __always_inline int socket_refuse(int error)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_set_retval))
		bpf_set_retval(error);
	return SOCKET_REFUSE;
}

#endif
