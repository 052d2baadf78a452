/* SPDX-License-Identifier: Apache-2.0 */
/* The connected sockets of a network namespace, and the end of some: sock_diag. */
#include "socket_diag.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace isthmus
{
namespace
{

constexpr size_t kBuffer = 64 * 1024;
/* A UDP socket with a peer counts as established. */
constexpr uint32_t kConnected = 1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT;

struct ListRequest {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
	struct nlattr storages;
	struct nlattr map;
	uint32_t map_fd;
};

struct DestroyRequest {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

/* The thread comes back, or the process ends: it must not work on in another namespace. */
int OpenIn(const std::string &netns)
{
	const Descriptor home(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
	const Descriptor target(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
	if (home.Get() < 0 || target.Get() < 0 || setns(target.Get(), CLONE_NEWNET))
		return -errno;
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	const int error = errno;
	if (setns(home.Get(), CLONE_NEWNET))
		abort();
	return fd < 0 ? -error : fd;
}

/* The attribute of a type; null when there is none. */
const nlattr *Find(const nlattr *first, size_t length, int type)
{
	const auto *at = reinterpret_cast<const uint8_t *>(first);
	while (length >= sizeof(nlattr)) {
		const auto *attribute = reinterpret_cast<const nlattr *>(at);
		if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > length)
			return nullptr;
		if ((attribute->nla_type & NLA_TYPE_MASK) == type)
			return attribute;
		const size_t step = NLA_ALIGN(attribute->nla_len);
		if (step >= length)
			return nullptr;
		at += step;
		length -= step;
	}
	return nullptr;
}

const nlattr *FindInside(const nlattr *outer, int type)
{
	return outer ? Find(outer + 1, outer->nla_len - sizeof(nlattr), type) : nullptr;
}

std::vector<uint8_t> StorageOf(const nlmsghdr *header)
{
	const auto *body = reinterpret_cast<const inet_diag_msg *>(NLMSG_DATA(header));
	const size_t length = header->nlmsg_len - NLMSG_LENGTH(sizeof(*body));
	const auto *first = reinterpret_cast<const nlattr *>(
		reinterpret_cast<const uint8_t *>(body) + NLMSG_ALIGN(sizeof(*body)));
	const nlattr *value = FindInside(
		FindInside(Find(first, length, INET_DIAG_SK_BPF_STORAGES), SK_DIAG_BPF_STORAGE),
		SK_DIAG_BPF_STORAGE_MAP_VALUE);
	if (!value)
		return {};
	const auto *bytes = reinterpret_cast<const uint8_t *>(value + 1);
	return {bytes, bytes + value->nla_len - sizeof(nlattr)};
}

int ErrorOf(const nlmsghdr *header)
{
	return reinterpret_cast<const nlmsgerr *>(NLMSG_DATA(header))->error;
}

} // namespace

int SocketDiag::Open(const std::string &netns)
{
	const int fd = OpenIn(netns);
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

int SocketDiag::List(uint8_t protocol, int map, std::vector<DiagSocket> *sockets)
{
	for (const uint8_t family : {AF_INET, AF_INET6}) {
		ListRequest request = {};
		size_t length = NLMSG_LENGTH(sizeof(request.body));
		request.body.sdiag_family = family;
		request.body.sdiag_protocol = protocol;
		request.body.idiag_states = kConnected;
		if (map >= 0) {
			request.map = {NLA_HDRLEN + sizeof(uint32_t),
				       SK_DIAG_BPF_STORAGE_REQ_MAP_FD};
			request.map_fd = static_cast<uint32_t>(map);
			request.storages = {static_cast<uint16_t>(NLA_HDRLEN + request.map.nla_len),
					    INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED};
			length += request.storages.nla_len;
		}
		request.header = {static_cast<uint32_t>(length), SOCK_DIAG_BY_FAMILY,
				  NLM_F_REQUEST | NLM_F_DUMP, 0, 0};
		int rc = Request(&request, length);
		rc = rc ? rc : ReadList(protocol, sockets);
		if (rc)
			return rc;
	}
	return 0;
}

int SocketDiag::ReadList(uint8_t protocol, std::vector<DiagSocket> *sockets)
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
			sockets->push_back(
				{{body->idiag_family, protocol, 0, body->id}, StorageOf(header)});
		}
	}
}

int SocketDiag::Destroy(const DiagSocketName &socket)
{
	DestroyRequest request = {};
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
