/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and ends sockets on a worker thread and settles a promise. */
#include "socket_worker.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "bytes.h"
#include "error.h"
#include "netns.h"
#include "program.h"
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

/* Does something in or about a namespace, and settles a promise. */
class NamespaceWorker : public Napi::AsyncWorker
{
public:
	NamespaceWorker(Napi::Env env, std::string netns, const char *operation)
	    : Napi::AsyncWorker(env), netns_(std::move(netns)), deferred_(env),
	      operation_(operation)
	{
	}

	/* Queues it; it deletes itself in the end. */
	[[nodiscard]] Napi::Value Start()
	{
		const Napi::Promise promise = deferred_.Promise();
		Queue();
		return promise;
	}

	void Execute() override
	{
		rc_ = Work();
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
	/* On a worker thread. Returns 0 or -errno. */
	[[nodiscard]] virtual int Work() = 0;
	[[nodiscard]] virtual Napi::Value Result(Napi::Env env) = 0;

	std::string netns_;

private:
	Napi::Promise::Deferred deferred_;
	const char *operation_;
	int rc_ = 0;
};

class ListWorker : public NamespaceWorker
{
public:
	ListWorker(Napi::Env env, const Napi::Object &options)
	    : NamespaceWorker(env, OwnNamespace(options.Get("netns")), "list sockets"),
	      protocol_(static_cast<uint8_t>(options.Get("protocol").ToNumber().Uint32Value()))
	{
		const Napi::Value remote = options.Get("remote");
		if (remote.IsUndefined())
			return;
		const auto bytes = BytesOf(remote, sizeof(Address), "remote");
		memcpy(remote_.data(), bytes.data(), bytes.size());
		any_remote_ = false;
	}

protected:
	int Work() override
	{
		SocketDiag diag;
		int rc = diag.Open(netns_);
		rc = rc ? rc : diag.List(protocol_, &sockets_);
		std::erase_if(sockets_, [&](const DiagSocketName &socket) {
			return !any_remote_ && RemoteOf(socket) != remote_;
		});
		return rc;
	}

	Napi::Value Result(Napi::Env env) override
	{
		Napi::Array list = Napi::Array::New(env, sockets_.size());
		for (uint32_t i = 0; i < sockets_.size(); i++) {
			const DiagSocketName &socket = sockets_[i];
			const uint32_t *cookie = socket.id.idiag_cookie;
			Napi::Object item = Napi::Object::New(env);
			item["name"] = CopyBytes(env, &socket, sizeof(socket));
			item["cookie"] = Napi::BigInt::New(
				env, static_cast<uint64_t>(cookie[1]) << 32 | cookie[0]);
			list[i] = item;
		}
		return list;
	}

private:
	uint8_t protocol_;
	Address remote_ = {};
	bool any_remote_ = true;
	std::vector<DiagSocketName> sockets_;
};

class DestroyWorker : public NamespaceWorker
{
public:
	DestroyWorker(Napi::Env env, std::string netns, const Napi::Array &names)
	    : NamespaceWorker(env, std::move(netns), "destroy sockets"), names_(names.Length())
	{
		for (uint32_t i = 0; i < names_.size(); i++) {
			const auto bytes =
				BytesOf(names.Get(i), sizeof(DiagSocketName), "a socket's name");
			memcpy(&names_[i], bytes.data(), bytes.size());
		}
	}

protected:
	/* One that ended by itself is no failure. */
	int Work() override
	{
		SocketDiag diag;
		const int opened = diag.Open(netns_);
		if (opened)
			return opened;
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

class WalkWorker : public NamespaceWorker
{
public:
	WalkWorker(Napi::Env env, std::string netns, const Napi::Object &program)
	    : NamespaceWorker(env, std::move(netns), "walk sockets"),
	      program_(Descriptor::Duplicate(Program::Unwrap(program)->Fd()))
	{
	}

protected:
	/* The walk is over the namespace that it was opened in. */
	int Work() override
	{
		Descriptor link(bpf_link_create(program_.Get(), 0, BPF_TRACE_ITER, nullptr));
		if (link.Get() < 0)
			return -errno;
		const int fd = CallInNamespace(netns_, [&] {
			const int created = bpf_iter_create(link.Get());
			return created < 0 ? -errno : created;
		});
		if (fd < 0)
			return fd;
		return Read(Descriptor(fd));
	}

	Napi::Value Result(Napi::Env env) override
	{
		return CopyBytes(env, written_.data(), written_.size());
	}

private:
	int Read(const Descriptor &walk)
	{
		std::array<uint8_t, 16384> part;
		for (;;) {
			const ssize_t count = read(walk.Get(), part.data(), part.size());
			if (count == 0)
				return 0;
			if (count < 0 && errno != EAGAIN && errno != EINTR)
				return -errno;
			if (count > 0)
				written_.insert(written_.end(), part.begin(), part.begin() + count);
		}
	}

	Descriptor program_;
	std::vector<uint8_t> written_;
};

} // namespace

Napi::Value ListSockets(const Napi::CallbackInfo &info)
{
	return (new ListWorker(info.Env(), info[0].ToObject()))->Start();
}

Napi::Value DestroySockets(const Napi::CallbackInfo &info)
{
	auto names = info[1].As<Napi::Array>();
	return (new DestroyWorker(info.Env(), OwnNamespace(info[0]), names))->Start();
}

Napi::Value WalkSockets(const Napi::CallbackInfo &info)
{
	return (new WalkWorker(info.Env(), OwnNamespace(info[1]), info[0].ToObject()))->Start();
}

} // namespace isthmus
