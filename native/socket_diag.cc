/* SPDX-License-Identifier: Apache-2.0 */
/* The connected sockets of a network namespace, and the end of some: sock_diag. */
#include "socket_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "netns.h"

namespace isthmus
{
namespace
{

constexpr size_t kBuffer = 64 * 1024;
/* A UDP socket with a peer counts as established. */
constexpr uint32_t kConnected = 1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT;

struct DiagRequest {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

int OpenNetlink()
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	return fd < 0 ? -errno : fd;
}

int ErrorOf(const nlmsghdr *header)
{
	return reinterpret_cast<const nlmsgerr *>(NLMSG_DATA(header))->error;
}

} // namespace

int SocketDiag::Open(const std::string &netns)
{
	const int fd = CallInNamespace(netns, OpenNetlink);
	if (fd < 0)
		return fd;
	netlink_ = Descriptor(fd);
	buffer_.resize(kBuffer);
	return 0;
}

int SocketDiag::Request(const void *message, size_t length)
{
	return send(netlink_.Get(), message, length, 0) < 0 ? -errno : 0;
}

int SocketDiag::List(uint8_t protocol, std::vector<DiagSocketName> *sockets)
{
	for (const uint8_t family : {AF_INET, AF_INET6}) {
		DiagRequest request = {};
		request.header = {sizeof(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP,
				  0, 0};
		request.body.sdiag_family = family;
		request.body.sdiag_protocol = protocol;
		request.body.idiag_states = kConnected;
		int rc = Request(&request, sizeof(request));
		rc = rc ? rc : ReadList(protocol, sockets);
		if (rc)
			return rc;
	}
	return 0;
}

int SocketDiag::ReadList(uint8_t protocol, std::vector<DiagSocketName> *sockets)
{
	for (;;) {
		const ssize_t count = recv(netlink_.Get(), buffer_.data(), buffer_.size(), 0);
		if (count < 0)
			return -errno;
		auto left = static_cast<size_t>(count);
		const auto *header = reinterpret_cast<const nlmsghdr *>(buffer_.data());
		for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return ErrorOf(header);
			const auto *body =
				reinterpret_cast<const inet_diag_msg *>(NLMSG_DATA(header));
			sockets->push_back({body->idiag_family, protocol, 0, body->id});
		}
	}
}

int SocketDiag::Destroy(const DiagSocketName &socket)
{
	DiagRequest request = {};
	request.header = {sizeof(request), SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, 0, 0};
	request.body.sdiag_family = socket.family;
	request.body.sdiag_protocol = socket.protocol;
	request.body.idiag_states = kConnected;
	request.body.id = socket.id;
	const int rc = Request(&request, sizeof(request));
	if (rc)
		return rc;
	const ssize_t count = recv(netlink_.Get(), buffer_.data(), buffer_.size(), 0);
	if (count < 0)
		return -errno;
	const auto *header = reinterpret_cast<const nlmsghdr *>(buffer_.data());
	if (!NLMSG_OK(header, static_cast<size_t>(count)) || header->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ErrorOf(header);
}

} // namespace isthmus
