/* SPDX-License-Identifier: Apache-2.0 */
/* How large a packet a link takes in one piece, and whether it joins what it receives (GRO). */
#include "netlink.h"

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "error.h"

namespace isthmus
{
namespace
{

using MessageHandle = std::unique_ptr<nl_msg, Releaser<nlmsg_free>>;
using CallbackHandle = std::unique_ptr<nl_cb, Releaser<nl_cb_put>>;

/* The kernel's numbers, which libnl has no setters for and older headers do not name. */
enum size_attribute {
	SIZE_GSO = 41, /* IFLA_GSO_MAX_SIZE */
	SIZE_GRO = 58, /* IFLA_GRO_MAX_SIZE, 5.17 */
	SIZE_TSO = 59, /* IFLA_TSO_MAX_SIZE, 5.19 */
	SIZE_GSO_IPV4 = 63, /* IFLA_GSO_IPV4_MAX_SIZE, 6.3 */
	SIZE_GRO_IPV4 = 64, /* IFLA_GRO_IPV4_MAX_SIZE, 6.3 */
};

struct Size {
	const char *key;
	int attribute;
};

constexpr std::array<Size, 5> sizes = {{
	{"gso", SIZE_GSO},
	{"gro", SIZE_GRO},
	{"gsoIpv4", SIZE_GSO_IPV4},
	{"groIpv4", SIZE_GRO_IPV4},
	{"tso", SIZE_TSO},
}};

std::string SubjectOf(int ifindex)
{
	return "link " + std::to_string(ifindex);
}

MessageHandle LinkMessage(Napi::Env env, int type, int ifindex)
{
	MessageHandle message(nlmsg_alloc_simple(type, 0));
	ifinfomsg link = {};
	link.ifi_index = ifindex;
	if (!message || nlmsg_append(message.get(), &link, sizeof(link), NLMSG_ALIGNTO))
		throw MakeError(env, {ENOMEM, "make link message", SubjectOf(ifindex), "", ""});
	return message;
}

/* What a link's message says of sizes; of those that the kernel does not know, nothing. */
struct SizeReader {
	std::array<uint32_t, sizes.size()> bytes = {};

	static int Read(nl_msg *message, void *self)
	{
		auto *reader = static_cast<SizeReader *>(self);
		const nlmsghdr *header = nlmsg_hdr(message);
		for (size_t i = 0; i < sizes.size(); i++) {
			const nlattr *found =
				nlmsg_find_attr(const_cast<nlmsghdr *>(header), sizeof(ifinfomsg),
						sizes[i].attribute);
			reader->bytes[i] = found ? nla_get_u32(found) : 0;
		}
		return NL_OK;
	}
};

int PutSizes(nl_msg *message, const Napi::Object &wanted)
{
	for (const auto &[key, attribute] : sizes) {
		const Napi::Value value = wanted.Get(key);
		if (attribute == SIZE_TSO || !value.IsNumber())
			continue;
		const int rc =
			nla_put_u32(message, attribute, value.As<Napi::Number>().Uint32Value());
		if (rc)
			return rc;
	}
	return 0;
}

} // namespace

Napi::Value Netlink::PacketSizes(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const MessageHandle message = LinkMessage(info.Env(), RTM_GETLINK, ifindex);
	SizeReader reader;
	nl_sock *socket = Socket();
	const CallbackHandle original(nl_socket_get_cb(socket));
	const CallbackHandle callbacks(nl_cb_clone(original.get()));
	if (!callbacks)
		throw MakeError(info.Env(), {ENOMEM, "find link", SubjectOf(ifindex), "", ""});
	nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, SizeReader::Read, &reader);
	int rc = nl_send_auto(socket, message.get());
	if (rc >= 0)
		rc = nl_recvmsgs(socket, callbacks.get());
	/* The answer comes before the acknowledgement, and a refusal instead of both. */
	if (rc >= 0)
		rc = nl_wait_for_ack(socket);
	if (!CheckFound(rc, "find link", SubjectOf(ifindex)))
		return info.Env().Undefined();
	Napi::Object said = Napi::Object::New(info.Env());
	for (size_t i = 0; i < sizes.size(); i++) {
		if (reader.bytes[i])
			said[sizes[i].key] = Napi::Number::New(info.Env(), reader.bytes[i]);
	}
	return said;
}

/* What the kernel does not know it ignores: who must be sure reads again. */
void Netlink::SetPacketSizes(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const MessageHandle message = LinkMessage(info.Env(), RTM_NEWLINK, ifindex);
	const std::string subject = SubjectOf(ifindex);
	Check(PutSizes(message.get(), info[1].As<Napi::Object>()), "set packet sizes of", subject);
	nl_sock *socket = Socket();
	const int rc = nl_send_auto(socket, message.get());
	Check(rc < 0 ? rc : nl_wait_for_ack(socket), "set packet sizes of", subject);
}

/* Any socket of the namespace will do for ethtool's calls; they want a name. */
uint32_t Netlink::Ethtool(int ifindex, uint32_t command, uint32_t data)
{
	const std::string subject = SubjectOf(ifindex);
	const int fd = nl_socket_get_fd(Socket());
	ethtool_value value = {command, data};
	ifreq request = {};
	request.ifr_ifindex = ifindex;
	if (ioctl(fd, SIOCGIFNAME, &request))
		throw MakeError(Env(), {errno, "find link", subject, "", ""});
	request.ifr_data = reinterpret_cast<char *>(&value);
	if (ioctl(fd, SIOCETHTOOL, &request))
		throw MakeError(Env(),
				{errno, command == ETHTOOL_SGRO ? "set GRO of" : "read GRO of",
				 subject, "", ""});
	return value.data;
}

Napi::Value Netlink::ReceiveOffload(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	return Napi::Boolean::New(info.Env(), Ethtool(ifindex, ETHTOOL_GGRO, 0) != 0);
}

void Netlink::SetReceiveOffload(const Napi::CallbackInfo &info)
{
	Ethtool(info[0].As<Napi::Number>().Int32Value(), ETHTOOL_SGRO,
		info[1].As<Napi::Boolean>().Value() ? 1 : 0);
}

} // namespace isthmus
