/* SPDX-License-Identifier: Apache-2.0 */
/* Drains a ring buffer whenever the kernel says so: one callback a drain. */
#include "ring_buffer.h"

#include "bpf_error.h"
#include "bytes.h"
#include "classes.h"
#include "map.h"

#include <bpf/libbpf.h>
#include <uv.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace isthmus
{
namespace
{

/* More waits for the next turn of the event loop. */
constexpr size_t kDrainBytes = 1 << 20;

struct RingFree {
	void operator()(struct ring_buffer *ring) const
	{
		ring_buffer__free(ring);
	}
};

} // namespace

/* Owned by the event loop from Start() on: freed when its handle is closed. */
struct RingReader {
	RingReader(Napi::Env env, const Napi::Function &callback)
	    : callback(Napi::Persistent(callback)), context(env, "isthmus:ring_buffer")
	{
	}

	void Start(Napi::Env env);
	void Close();
	void Drain();

	Napi::FunctionReference callback;
	Napi::AsyncContext context;
	std::unique_ptr<struct ring_buffer, RingFree> ring;
	std::vector<uint8_t> records;
	uv_poll_t poll = {};
	napi_async_cleanup_hook_handle hook = nullptr;
	bool closing = false;
};

namespace
{

int Append(void *context, void *data, size_t size) noexcept
{
	auto &records = static_cast<RingReader *>(context)->records;
	const uint32_t header[2] = {static_cast<uint32_t>(size), 0};
	const auto *head = reinterpret_cast<const uint8_t *>(header);
	const auto *bytes = static_cast<const uint8_t *>(data);
	records.insert(records.end(), head, head + sizeof(header));
	records.insert(records.end(), bytes, bytes + size);
	records.resize((records.size() + 7) & ~size_t{7});
	return records.size() < kDrainBytes ? 0 : -ENOBUFS;
}

void OnReadable(uv_poll_t *poll, int status, int) noexcept
{
	if (status == 0)
		static_cast<RingReader *>(poll->data)->Drain();
}

void OnClosed(uv_handle_t *handle) noexcept
{
	auto *reader = static_cast<RingReader *>(handle->data);
	napi_remove_async_cleanup_hook(reader->hook);
	delete reader;
}

void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void *reader) noexcept
{
	static_cast<RingReader *>(reader)->Close();
}

} // namespace

void RingReader::Start(Napi::Env env)
{
	uv_loop_t *loop = nullptr;
	napi_get_uv_event_loop(env, &loop);
	poll.data = this;
	Check(env, uv_poll_init(loop, &poll, ring_buffer__epoll_fd(ring.get())), "uv_poll_init");
	napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &hook);
	uv_poll_start(&poll, UV_READABLE, OnReadable);
}

void RingReader::Close()
{
	if (closing)
		return;
	closing = true;
	uv_poll_stop(&poll);
	uv_close(reinterpret_cast<uv_handle_t *>(&poll), OnClosed);
}

void RingReader::Drain()
{
	const Napi::Env env = callback.Env();
	const Napi::HandleScope scope(env);
	records.clear();
	ring_buffer__consume(ring.get());
	if (records.empty())
		return;
	try {
		const auto bytes = CopyBytes(env, records.data(), records.size());
		callback.Value().MakeCallback(env.Global(), {bytes}, context);
	} catch (const Napi::Error &error) {
		napi_fatal_exception(env, error.Value());
	}
}

Napi::Function RingBuffer::Define(Napi::Env env)
{
	return DefineClass(env, "NativeRingBuffer", {InstanceMethod<&RingBuffer::Close>("close")});
}

Napi::Value RingBuffer::Open(const Napi::CallbackInfo &info)
{
	return Classes::Of(info.Env()).ring_buffer.New({info[0], info[1]});
}

RingBuffer::RingBuffer(const Napi::CallbackInfo &info) : Napi::ObjectWrap<RingBuffer>(info)
{
	const Napi::Env env = info.Env();
	const WarningScope warnings;
	auto reader = std::make_unique<RingReader>(env, info[1].As<Napi::Function>());
	const int fd = Map::Unwrap(info[0].ToObject())->Fd();
	reader->ring.reset(ring_buffer__new(fd, Append, reader.get(), nullptr));
	if (!reader->ring)
		CheckBpf(env, -errno, "ring_buffer__new", "", warnings.Tail());
	reader->Start(env);
	reader_ = reader.release();
}

void RingBuffer::Close(const Napi::CallbackInfo &)
{
	if (reader_)
		reader_->Close();
	reader_ = nullptr;
}

} // namespace isthmus
