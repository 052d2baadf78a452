/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: a TCP and UDP server for both families on one port. */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "address.h"
#include "connection.h"
#include "process.h"
#include "socket.h"

#define EVENTS	       64
#define DATAGRAM_LIMIT 65536

struct server {
	int epoll;
	int tcp;
	int udp;
};

/* epoll hands back a pointer: of one of the two sockets here, or a connection. */
static int watch(const struct server *server, int fd, void *owner, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = owner};

	if (!epoll_ctl(server->epoll, EPOLL_CTL_MOD, fd, &event))
		return 0;
	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void advance(const struct server *server, struct connection *connection)
{
	uint32_t before = connection_events(connection);
	uint32_t after;

	if (!connection_advance(connection)) {
		connection_close(connection);
		return;
	}
	after = connection_events(connection);
	if (after != before)
		watch(server, connection_fd(connection), connection, after);
}

static void accept_one(const struct server *server)
{
	union address peer;
	socklen_t length = sizeof(peer);
	int fd = accept4(server->tcp, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};

	if (fd < 0)
		return;
	event.data.ptr = connection_open(fd, &peer);
	if (!event.data.ptr)
		close(fd);
	else if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event))
		connection_close(event.data.ptr);
}

/* Answers from the address that was asked, which need not be the route's own choice. */
static void keep_source(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	struct in6_pktinfo info;

	if (!control || control->cmsg_type != IPV6_PKTINFO)
		return;
	memcpy(&info, CMSG_DATA(control), sizeof(info));
	if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		info.ipi6_ifindex = 0; /* the route chooses the device */
	memcpy(CMSG_DATA(control), &info, sizeof(info));
	message->msg_controllen = CMSG_SPACE(sizeof(info));
}

/* The answer's length in `data`; 0 when there is none. */
static size_t answer_datagram(char *data, size_t length, const union address *peer)
{
	char text[ADDRESS_TEXT];

	if (length >= 4 && !memcmp(data, "echo", 4))
		return length;
	if (length < 3 || memcmp(data, "who", 3))
		return 0;
	address_format_words(text, peer);
	return (size_t)snprintf(data, DATAGRAM_LIMIT, "%s\n", text);
}

static void serve_datagram(const struct server *server)
{
	static char data[DATAGRAM_LIMIT];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) * 2];
	} control;
	union address peer;
	struct iovec part = {data, sizeof(data)};
	struct msghdr message = {
		.msg_name = &peer,
		.msg_namelen = sizeof(peer),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length = recvmsg(server->udp, &message, 0);

	if (length < 0)
		return;
	part.iov_len = answer_datagram(data, (size_t)length, &peer);
	if (!part.iov_len)
		return;
	keep_source(&message);
	sendmsg(server->udp, &message, 0); /* a lost answer is what UDP allows */
}

static void handle(struct server *server, const struct epoll_event *event)
{
	if (event->data.ptr == &server->tcp)
		accept_one(server);
	else if (event->data.ptr == &server->udp)
		serve_datagram(server);
	else
		advance(server, event->data.ptr);
}

static int open_sockets(struct server *server, const struct options *options)
{
	server->tcp = socket_serve(options, SOCK_STREAM);
	if (server->tcp < 0)
		return server->tcp;
	server->udp = socket_serve(options, SOCK_DGRAM);
	if (server->udp < 0)
		return server->udp;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	if (watch(server, server->tcp, &server->tcp, EPOLLIN) ||
	    watch(server, server->udp, &server->udp, EPOLLIN))
		return -errno;
	return 0;
}

static void allow_many_connections(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int server_run(const struct options *options)
{
	struct epoll_event events[EVENTS];
	struct server server;
	sigset_t none;
	int rc = open_sockets(&server, options);

	if (rc) {
		fprintf(stderr, "isthmus-probe: cannot serve %s port %u: %s\n",
			options->bind ? options->bind : "every address", options->port,
			strerror(-rc));
		return 2;
	}
	allow_many_connections();
	process_catch_stop();
	sigemptyset(&none);
	puts("ready");
	fflush(stdout);
	while (!process_stopped()) {
		int count = epoll_pwait(server.epoll, events, EVENTS, -1, &none);

		for (int i = 0; i < count; i++)
			handle(&server, &events[i]);
	}
	return 0;
}
