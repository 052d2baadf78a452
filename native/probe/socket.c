/* SPDX-License-Identifier: Apache-2.0 */
/* Client sockets with deadlines, and the two sockets of a server. */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "process.h"

#define BACKLOG	  4096
#define UDP_QUEUE (16 << 20)

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

static int set_tcp(int fd, const struct options *options)
{
	const char *congestion = options->congestion;
	int rc = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (!rc) /* a port may be used again while its last connection is in TIME_WAIT */
		rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc || !congestion)
		return rc;
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) ? -errno
											   : 0;
}

/* A probe that waits for its turn on a busy CPU loses nothing: what gets lost is to be the
 * network's doing. */
static int set_queue(int fd)
{
	int rc = set(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_QUEUE);

	return rc == -EPERM ? set(fd, SOL_SOCKET, SO_RCVBUF, UDP_QUEUE) : rc;
}

/* Without IP_RECVERR a UDP socket hears of refusals only, not of unreachable hosts. */
static int set_udp(int fd, sa_family_t family)
{
	int rc = set_queue(fd);

	if (rc)
		return rc;
	if (family == AF_INET)
		return set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

static int bind_local(int fd, const struct options *options, sa_family_t family)
{
	const char *any = family == AF_INET ? "0.0.0.0" : "::";
	union address local;
	int rc;

	if (!options->bind && !options->source_port)
		return 0;
	if (!address_parse(&local, options->bind ? options->bind : any, options->source_port))
		return -EINVAL;
	if (local.any.sa_family != family)
		return -EAFNOSUPPORT;
	rc = 0;
	if (!options->source_port) /* lets connect() choose a port by its peer */
		rc = set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (!rc && bind(fd, &local.any, address_length(&local)))
		rc = -errno;
	return rc;
}

int socket_open(const struct options *options, int type, const union address *peer)
{
	sa_family_t family = peer->any.sa_family;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = type == SOCK_STREAM ? set_tcp(fd, options) : set_udp(fd, family);
	if (!rc)
		rc = bind_local(fd, options, family);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int prepare_server(int fd, int type, const struct options *options)
{
	int rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);

	if (!rc && type == SOCK_DGRAM)
		rc = set_queue(fd);
	if (rc)
		return rc;
	if (type == SOCK_DGRAM)
		return set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	return set_tcp(fd, options);
}

int socket_serve(const struct options *options, int type)
{
	union address local;
	int fd, rc;

	if (!address_parse(&local, options->bind ? options->bind : "::", options->port))
		return -EINVAL;
	address_map(&local);
	fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = prepare_server(fd, type, options);
	if (!rc && bind(fd, &local.any, address_length(&local)))
		rc = -errno;
	if (!rc && type == SOCK_STREAM && listen(fd, BACKLOG))
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poll = {.fd = fd, .events = events};

	return process_poll(&poll, 1, deadline) ? 0 : -ETIMEDOUT;
}

int socket_connect(int fd, const union address *peer, int64_t deadline)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (!connect(fd, &peer->any, address_length(peer)))
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (wait_for(fd, POLLOUT, deadline))
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
		return -errno;
	return -error;
}

ssize_t socket_read(int fd, void *bytes, size_t length, int64_t deadline)
{
	for (;;) {
		ssize_t count = recv(fd, bytes, length, 0);

		if (count >= 0)
			return count;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (wait_for(fd, POLLIN, deadline))
			return -ETIMEDOUT;
	}
}

int socket_write(int fd, const void *bytes, size_t length, int64_t deadline)
{
	const char *from = bytes;

	while (length) {
		ssize_t count = send(fd, from, length, 0);

		if (count >= 0) {
			from += count;
			length -= (size_t)count;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (wait_for(fd, POLLOUT, deadline))
			return -ETIMEDOUT;
	}
	return 0;
}

int socket_block(int fd, int64_t timeout_ms)
{
	struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return -errno;
	return 0;
}
