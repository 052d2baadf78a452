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
	/* Host ports are at 127.0.0.1 too. */
	if (name_is_loopback4(to) && !socket_is_of_host(context))
		return NULL;
	socket_localhost(context, to, &key);
	return bpf_map_lookup_elem(&services, &key);
}

/*
 * Who the socket is for affinity and source ranges. The node has its address; a pod's is not
 * chosen yet, so its namespace stands for it, as an address that nobody has (RFC 6666).
 */
static __always_inline void socket_client(struct bpf_sock_addr *context,
					  const struct socket_name *to, ip_addr *client)
{
	bool ipv4 = !to->address.halves[0] && to->address.words[2] == bpf_htonl(0xffff);

	if (socket_is_of_host(context)) {
		config_copy(client, &config.node_address[ipv4 ? FAMILY_IPV4 : FAMILY_IPV6],
			    sizeof(*client));
		return;
	}
	client->words[0] = bpf_htonl(0x01000000);
	client->words[1] = 0;
	client->halves[1] = bpf_get_netns_cookie(context);
}

/* What has to be silent, or depends on a pod's address, is left to its packets. The node's own
 * packets meet no program, so its sockets hear of it at once. */
static __always_inline int socket_leave_to_packets(struct bpf_sock_addr *context)
{
	return socket_is_of_host(context) ? -EPERM : SOCKET_UNCHANGED;
}

static __always_inline int socket_check_source(struct bpf_sock_addr *context, ip_addr *client,
					       struct service *service)
{
	if (!(service->flags & SERVICE_SOURCE_RANGES))
		return 0;
	if (socket_is_of_host(context) && !service_check_source(client, service))
		return 0;
	return socket_leave_to_packets(context);
}

/* To an address that only services can have, and no frontend: as service_check_address(). */
static __always_inline int socket_check_address(struct bpf_sock_addr *context,
						const struct socket_name *to)
{
	struct service_key key = {.address = to->address};

	if (!address_is_cluster_ip(&to->address) || !socket_is_of_host(context))
		return SOCKET_UNCHANGED;
	return bpf_map_lookup_elem(&services, &key) ? -ECONNREFUSED : -EPERM;
}

/* A backend for the peer's frontend. Its flow has no port yet, and any will do for its hash. */
static __always_inline int peer_choose(struct bpf_sock_addr *context, struct socket_peer *peer,
				       struct service *service)
{
	struct socket_name to = {.address = peer->frontend, .port = peer->frontend_port};
	struct flow_key flow = {
		.destination = to.address,
		.destination_port = to.port,
		.source_port = bpf_get_prandom_u32(),
		.protocol = context->protocol,
	};
	struct backend *backend;
	int rc;

	socket_client(context, &to, &flow.source);
	rc = socket_check_source(context, &flow.source, service);
	if (rc)
		return rc;
	backend = service_select_backend(&flow, service, &service->sets[SCOPE_INTERNAL]);
	if (backend) {
		peer->backend = backend->address;
		peer->backend_port = backend->port;
		return 0;
	}
	if (service->flags & SERVICE_DROP_INTERNAL)
		return socket_leave_to_packets(context);
	return -ECONNREFUSED;
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

	peer_begin(&peer, name);
	rc = service ? peer_choose(context, &peer, service) : socket_check_address(context, name);
	if (rc) {
		bpf_sk_storage_delete(&socket_peers, context->sk);
		return rc;
	}
	kept = bpf_sk_storage_get(&socket_peers, context->sk, &peer, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return -ENOMEM;
	*kept = peer;
	peer_backend(&peer, name);
	return 0;
}

static __always_inline bool peer_is_by_packets(const struct socket_peer *peer)
{
	return peer->backend_port == peer->frontend_port &&
	       address_equals(&peer->backend, &peer->frontend);
}

/* Whether the backend still serves, whatever policies say now: it is UDP, and a flow goes on. */
static __always_inline bool peer_is_current(const struct socket_peer *peer,
					    const struct service *service)
{
	struct serving_key key = {
		.service_id = service->id,
		.address = peer->backend,
		.port = peer->backend_port,
	};

	return peer_is_by_packets(peer) || bpf_map_lookup_elem(&serving, &key);
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

/* Whether the socket knows this backend by another frontend, as which answers would be shown. */
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
						struct socket_peer *peer, struct service *service)
{
	struct socket_peer chosen = *peer;
	int rc = peer_choose(context, &chosen, service);

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
					 const struct socket_peer *first, struct service *service)
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
		return socket_check_address(context, name);
	peer_begin(&fresh, name);
	first = bpf_sk_storage_get(&socket_peers, context->sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!first)
		return -ENOMEM;
	if (!peer_has_frontend(first, name)) {
		first->more = 1;
		return datagram_more(context, name, first, service);
	}
	if (!first->backend_port || !peer_is_current(first, service))
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

/* Whether a connected UDP socket waits for a backend that will not answer; as sweep_is_stale(). */
static __always_inline bool peer_is_stale(const struct socket_peer *peer)
{
	struct service_key key = {.port = peer->frontend_port, .protocol = IPPROTO_UDP};
	struct socket_name to;
	struct service *service;

	peer_frontend(peer, &to);
	key.address = to.address;
	if (name_is_loopback4(&to))
		config_copy(&key.address, &config.node_address[FAMILY_IPV4], sizeof(ip_addr));
	service = bpf_map_lookup_elem(&services, &key);
	return service && service->flags & SERVICE_SERVING && !peer_is_current(peer, service);
}

/* Says why; where the kernel has no words for it (before 5.18), it is EPERM. */
static __always_inline int socket_refuse(int error)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_set_retval))
		bpf_set_retval(error);
	return SOCKET_REFUSE;
}

#endif
