/* SPDX-License-Identifier: Apache-2.0 */
/* A netlink socket of one network namespace: the JavaScript object that src/net/native.ts
 * documents. */
#pragma once

#include <napi.h>
#include <netlink/netlink.h>

#include <string>

#include "descriptor.h"
#include "netlink_handle.h"

namespace isthmus
{

class Netlink : public Napi::ObjectWrap<Netlink>
{
public:
	[[nodiscard]] static Napi::Function Define(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);
	explicit Netlink(const Napi::CallbackInfo &info);
	Netlink(const Netlink &) = delete;
	Netlink &operator=(const Netlink &) = delete;

	Napi::Value Links(const Napi::CallbackInfo &info);
	Napi::Value Link(const Napi::CallbackInfo &info);
	Napi::Value AddVeth(const Napi::CallbackInfo &info);
	Napi::Value DeleteLink(const Napi::CallbackInfo &info);
	void SetUp(const Napi::CallbackInfo &info);
	void SetMtu(const Napi::CallbackInfo &info);
	Napi::Value PacketSizes(const Napi::CallbackInfo &info);
	void SetPacketSizes(const Napi::CallbackInfo &info);
	Napi::Value ReceiveOffload(const Napi::CallbackInfo &info);
	void SetReceiveOffload(const Napi::CallbackInfo &info);
	Napi::Value Addresses(const Napi::CallbackInfo &info);
	void AddAddress(const Napi::CallbackInfo &info);
	Napi::Value DeleteAddress(const Napi::CallbackInfo &info);
	Napi::Value Routes(const Napi::CallbackInfo &info);
	void ReplaceRoute(const Napi::CallbackInfo &info);
	Napi::Value DeleteRoute(const Napi::CallbackInfo &info);
	void ReplaceNeighbour(const Napi::CallbackInfo &info);
	Napi::Value DeleteNeighbour(const Napi::CallbackInfo &info);
	void LimitRate(const Napi::CallbackInfo &info);
	Napi::Value RootQdisc(const Napi::CallbackInfo &info);
	Napi::Value RemoveRootQdisc(const Napi::CallbackInfo &info);
	Napi::Value Cookie(const Napi::CallbackInfo &info);
	void WriteSysctl(const Napi::CallbackInfo &info);
	Napi::Value ReadSysctl(const Napi::CallbackInfo &info);
	void Close(const Napi::CallbackInfo &info);

private:
	/* The open socket; forgets the last error. Every operation takes it once. */
	[[nodiscard]] nl_sock *Socket();
	/* Throws when rc, a libnl result, is an error. */
	void Check(int rc, const char *operation, const std::string &subject);
	/* The same, but false when the error says that there was no such thing. */
	[[nodiscard]] bool CheckFound(int rc, const char *operation, const std::string &subject);
	[[nodiscard]] int ErrorOf(int rc) const;
	static int OnKernelError(sockaddr_nl *from, nlmsgerr *error, void *self) noexcept;

	/* Fills a cache by a dump; a dump that a change interrupted is taken again. */
	template <typename Fill> CacheHandle Dump(const char *operation, Fill fill)
	{
		for (int attempt = 0;; attempt++) {
			nl_cache *cache = nullptr;
			const int rc = fill(Socket(), &cache);
			if (rc == -NLE_DUMP_INTR && attempt < 5)
				continue;
			Check(rc, operation, "");
			return CacheHandle(cache);
		}
	}

	/* Null when there is none. */
	[[nodiscard]] LinkHandle FindLink(int ifindex, const std::string &name);
	void ChangeLink(int ifindex, rtnl_link *changes, const char *operation);
	/* One of ethtool's calls that carry a number; the answer's. */
	uint32_t Ethtool(int ifindex, uint32_t command, uint32_t data);

	Descriptor namespace_;
	SocketHandle socket_;
	int kernel_error_ = 0; /* positive errno of the last refusal */
	std::string kernel_message_; /* why, in the kernel's words; often empty */
};

} // namespace isthmus
