/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and errors of a netlink socket, and what it knows of its namespace. */
#include "netlink.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "error.h"
#include "net_classes.h"
#include "netns.h"

namespace isthmus
{
namespace
{

/* The errno of a failure that libnl found itself. */
int ErrnoOf(int code)
{
	switch (code) {
	case NLE_NOMEM:
		return ENOMEM;
	case NLE_INTR:
	case NLE_DUMP_INTR:
		return EINTR;
	case NLE_BAD_SOCK:
		return EBADF;
	case NLE_AGAIN:
		return EAGAIN;
	case NLE_OBJ_NOTFOUND:
		return ENOENT;
	case NLE_NODEV:
		return ENODEV;
	case NLE_EXIST:
		return EEXIST;
	case NLE_PERM:
		return EPERM;
	case NLE_OPNOTSUPP:
		return EOPNOTSUPP;
	case NLE_RANGE:
		return ERANGE;
	case NLE_AF_NOSUPPORT:
	case NLE_AF_MISMATCH:
		return EAFNOSUPPORT;
	case NLE_INVAL:
	case NLE_MISSING_ATTR:
	case NLE_NOADDR:
		return EINVAL;
	default:
		return EIO;
	}
}

/* The kernel's own explanation (NLMSGERR_ATTR_MSG); the request is not echoed (NETLINK_CAP_ACK). */
std::string ExplanationOf(const nlmsgerr *error)
{
	const auto *header = reinterpret_cast<const nlmsghdr *>(
		reinterpret_cast<const char *>(error) - NLMSG_HDRLEN);
	const int length = static_cast<int>(header->nlmsg_len) - NLMSG_HDRLEN -
			   static_cast<int>(NLMSG_ALIGN(sizeof(*error)));
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || length <= 0)
		return "";
	const auto *first = reinterpret_cast<const nlattr *>(reinterpret_cast<const char *>(error) +
							     NLMSG_ALIGN(sizeof(*error)));
	const nlattr *text = nla_find(first, length, NLMSGERR_ATTR_MSG);
	return text ? nla_get_string(text) : "";
}

/* Older kernels do without explanations. */
void AskForExplanations(nl_sock *socket)
{
	const int on = 1;
	const int fd = nl_socket_get_fd(socket);
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
}

} // namespace

Napi::Function Netlink::Define(Napi::Env env)
{
	return DefineClass(env, "Netlink",
			   {
				   InstanceMethod<&Netlink::Links>("links"),
				   InstanceMethod<&Netlink::Link>("link"),
				   InstanceMethod<&Netlink::AddVeth>("addVeth"),
				   InstanceMethod<&Netlink::DeleteLink>("deleteLink"),
				   InstanceMethod<&Netlink::SetUp>("setUp"),
				   InstanceMethod<&Netlink::SetMtu>("setMtu"),
				   InstanceMethod<&Netlink::PacketSizes>("packetSizes"),
				   InstanceMethod<&Netlink::SetPacketSizes>("setPacketSizes"),
				   InstanceMethod<&Netlink::ReceiveOffload>("receiveOffload"),
				   InstanceMethod<&Netlink::SetReceiveOffload>("setReceiveOffload"),
				   InstanceMethod<&Netlink::Addresses>("addresses"),
				   InstanceMethod<&Netlink::AddAddress>("addAddress"),
				   InstanceMethod<&Netlink::DeleteAddress>("deleteAddress"),
				   InstanceMethod<&Netlink::Routes>("routes"),
				   InstanceMethod<&Netlink::ReplaceRoute>("replaceRoute"),
				   InstanceMethod<&Netlink::DeleteRoute>("deleteRoute"),
				   InstanceMethod<&Netlink::ReplaceNeighbour>("replaceNeighbour"),
				   InstanceMethod<&Netlink::DeleteNeighbour>("deleteNeighbour"),
				   InstanceMethod<&Netlink::LimitRate>("limitRate"),
				   InstanceMethod<&Netlink::RootQdisc>("rootQdisc"),
				   InstanceMethod<&Netlink::RemoveRootQdisc>("removeRootQdisc"),
				   InstanceAccessor<&Netlink::Cookie>("cookie"),
				   InstanceMethod<&Netlink::WriteSysctl>("writeSysctl"),
				   InstanceMethod<&Netlink::ReadSysctl>("readSysctl"),
				   InstanceMethod<&Netlink::Close>("close"),
			   });
}

Napi::Value Netlink::Open(const Napi::CallbackInfo &info)
{
	return info.Env().GetInstanceData<NetClasses>()->netlink.New({info[0]});
}

/* A socket belongs for ever to the namespace it was opened in; no thread has to stay there. */
Netlink::Netlink(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<Netlink>(info), socket_(nl_socket_alloc())
{
	const std::string path = info[0].IsUndefined() ? "" : info[0].ToString().Utf8Value();
	namespace_ = OpenNamespace(info.Env(), path);
	if (!socket_)
		throw MakeError(info.Env(), {ENOMEM, "open netlink socket", path, "", ""});
	int rc;
	{
		const NamespaceScope inside(info.Env(), namespace_);
		rc = nl_connect(socket_.get(), NETLINK_ROUTE);
	}
	Check(rc, "open netlink socket", path);
	nl_socket_modify_err_cb(socket_.get(), NL_CB_CUSTOM, OnKernelError, this);
	AskForExplanations(socket_.get());
}

void Netlink::Close(const Napi::CallbackInfo &)
{
	socket_.reset();
	namespace_.Close();
}

nl_sock *Netlink::Socket()
{
	if (!socket_)
		throw MakeError(Env(), {EBADF, "use netlink socket", "", "it is closed", ""});
	kernel_error_ = 0;
	kernel_message_.clear();
	return socket_.get();
}

int Netlink::OnKernelError(sockaddr_nl *, nlmsgerr *error, void *self) noexcept
{
	auto *netlink = static_cast<Netlink *>(self);
	netlink->kernel_error_ = -error->error;
	netlink->kernel_message_ = ExplanationOf(error);
	return -nl_syserr2nlerr(error->error);
}

int Netlink::ErrorOf(int rc) const
{
	return kernel_error_ ? kernel_error_ : ErrnoOf(-rc);
}

void Netlink::Check(int rc, const char *operation, const std::string &subject)
{
	if (rc >= 0)
		return;
	const std::string own = kernel_error_ ? "" : nl_geterror(rc);
	const std::string &message = kernel_message_.empty() ? own : kernel_message_;
	throw MakeError(Env(), {ErrorOf(rc), operation, subject, message, ""});
}

bool Netlink::CheckFound(int rc, const char *operation, const std::string &subject)
{
	constexpr int absent[] = {ENODEV, ENXIO, ESRCH, ENOENT, EADDRNOTAVAIL};
	if (rc < 0 && std::ranges::find(absent, ErrorOf(rc)) != std::end(absent))
		return false;
	Check(rc, operation, subject);
	return true;
}

Napi::Value Netlink::Cookie(const Napi::CallbackInfo &info)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	if (getsockopt(nl_socket_get_fd(Socket()), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length))
		throw MakeError(info.Env(), {errno, "read SO_NETNS_COOKIE", "", "", ""});
	return Napi::BigInt::New(info.Env(), cookie);
}

} // namespace isthmus
