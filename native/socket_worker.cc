/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and ends sockets on a worker thread and settles a promise. */
#include "socket_worker.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "bytes.h"
#include "error.h"
#include "map.h"
#include "socket_diag.h"

namespace isthmus
{
namespace
{

using Address = std::array<uint8_t, 16>;

/* IPv4 as ::ffff:a.b.c.d, as in our maps. */
Address RemoteOf(const DiagSocketName &name)
{
	Address address = {};
	if (name.family == AF_INET6) {
		memcpy(address.data(), name.id.idiag_dst, address.size());
	} else {
		address[10] = address[11] = 0xff;
		memcpy(address.data() + 12, name.id.idiag_dst, 4);
	}
	return address;
}

std::string OwnNamespace(const Napi::Value &value)
{
	return value.IsUndefined() ? "/proc/self/ns/net" : value.ToString().Utf8Value();
}

class SocketWorker : public Napi::AsyncWorker
{
public:
	SocketWorker(Napi::Env env, std::string netns, const char *operation)
	    : Napi::AsyncWorker(env), netns_(std::move(netns)), deferred_(env),
	      operation_(operation)
	{
	}

	[[nodiscard]] Napi::Promise Promise() const
	{
		return deferred_.Promise();
	}

	void Execute() override
	{
		SocketDiag diag;
		rc_ = diag.Open(netns_);
		if (!rc_)
			rc_ = Work(diag);
	}

	void OnOK() override
	{
		const Napi::Env env = Env();
		if (!rc_)
			deferred_.Resolve(Result(env));
		else
			deferred_.Reject(
				MakeError(env, {-rc_, operation_, netns_, "", ""}).Value());
	}

protected:
	[[nodiscard]] virtual int Work(SocketDiag &diag) = 0;
	[[nodiscard]] virtual Napi::Value Result(Napi::Env env) = 0;

private:
	std::string netns_;
	Napi::Promise::Deferred deferred_;
	const char *operation_;
	int rc_ = 0;
};

class ListWorker : public SocketWorker
{
public:
	ListWorker(Napi::Env env, const Napi::Object &options)
	    : SocketWorker(env, OwnNamespace(options.Get("netns")), "list sockets"),
	      protocol_(static_cast<uint8_t>(options.Get("protocol").ToNumber().Uint32Value()))
	{
		const Napi::Value map = options.Get("map"), remote = options.Get("remote");
		if (!map.IsUndefined())
			map_ = Descriptor::Duplicate(Map::Unwrap(map.ToObject())->Fd());
		if (remote.IsUndefined())
			return;
		const auto bytes = BytesOf(remote, sizeof(Address), "remote");
		memcpy(remote_.data(), bytes.data(), bytes.size());
		any_remote_ = false;
	}

protected:
	int Work(SocketDiag &diag) override
	{
		const int rc = diag.List(protocol_, map_.Get(), &sockets_);
		std::erase_if(sockets_, [&](const DiagSocket &socket) {
			return (map_.Get() >= 0 && socket.storage.empty()) ||
			       (!any_remote_ && RemoteOf(socket.name) != remote_);
		});
		return rc;
	}

	Napi::Value Result(Napi::Env env) override
	{
		Napi::Array list = Napi::Array::New(env, sockets_.size());
		for (uint32_t i = 0; i < sockets_.size(); i++) {
			const DiagSocket &socket = sockets_[i];
			const Address remote = RemoteOf(socket.name);
			Napi::Object item = Napi::Object::New(env);
			item["name"] = CopyBytes(env, &socket.name, sizeof(socket.name));
			item["remote"] = CopyBytes(env, remote.data(), remote.size());
			item["remotePort"] = ntohs(socket.name.id.idiag_dport);
			if (!socket.storage.empty())
				item["storage"] = CopyBytes(env, socket.storage.data(),
							    socket.storage.size());
			list[i] = item;
		}
		return list;
	}

private:
	uint8_t protocol_;
	Descriptor map_;
	Address remote_ = {};
	bool any_remote_ = true;
	std::vector<DiagSocket> sockets_;
};

class DestroyWorker : public SocketWorker
{
public:
	DestroyWorker(Napi::Env env, std::string netns, const Napi::Array &names)
	    : SocketWorker(env, std::move(netns), "destroy sockets"), names_(names.Length())
	{
		for (uint32_t i = 0; i < names_.size(); i++) {
			const auto bytes =
				BytesOf(names.Get(i), sizeof(DiagSocketName), "a socket's name");
			memcpy(&names_[i], bytes.data(), bytes.size());
		}
	}

protected:
	/* One that ended by itself is no failure. */
	int Work(SocketDiag &diag) override
	{
		for (const DiagSocketName &name : names_) {
			const int rc = diag.Destroy(name);
			if (rc && rc != -ENOENT)
				return rc;
			destroyed_ += rc == 0;
		}
		return 0;
	}

	Napi::Value Result(Napi::Env env) override
	{
		return Napi::Number::New(env, destroyed_);
	}

private:
	std::vector<DiagSocketName> names_;
	uint32_t destroyed_ = 0;
};

} // namespace

Napi::Value ListSockets(const Napi::CallbackInfo &info)
{
	auto *worker = new ListWorker(info.Env(), info[0].ToObject());
	const Napi::Promise promise = worker->Promise();
	worker->Queue();
	return promise;
}

Napi::Value DestroySockets(const Napi::CallbackInfo &info)
{
	auto *worker =
		new DestroyWorker(info.Env(), OwnNamespace(info[0]), info[1].As<Napi::Array>());
	const Napi::Promise promise = worker->Promise();
	worker->Queue();
	return promise;
}

} // namespace isthmus
