/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a map by batches, or key by key where the kernel has no batch for its type. */
#include "iterator.h"

#include "bpf_error.h"
#include "bytes.h"
#include "classes.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

namespace isthmus
{
namespace
{

/* Fewer would make a hash bucket with several entries fail with ENOSPC at once. */
constexpr uint32_t kSmallestBatch = 64;

} // namespace

Napi::Function Iterator::Define(Napi::Env env)
{
	return DefineClass(env, "NativeMapIterator", {InstanceMethod<&Iterator::Next>("next")});
}

Napi::Object Iterator::Create(Napi::Env env, std::shared_ptr<MapState> map)
{
	using Holder = Napi::External<std::shared_ptr<MapState>>;
	return Classes::Of(env).iterator.New({Holder::New(env, &map)});
}

Iterator::Iterator(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<Iterator>(info),
      map_(*info[0].As<Napi::External<std::shared_ptr<MapState>>>().Data())
{
	/* A hash map's cursor is a bucket number, other maps' is a key. */
	const size_t size = std::max<size_t>(map_->info.key_size, sizeof(uint32_t));
	cursor_.resize(size);
	next_cursor_.resize(size);
}

Napi::Value Iterator::Next(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const uint32_t count = std::max(1U, info[0].ToNumber().Uint32Value());
	while (taken_ == filled_ && !done_)
		Fill(env, count);
	if (taken_ == filled_)
		return env.Undefined();
	const uint32_t entries = std::min(count, filled_ - taken_);
	const size_t key_size = map_->info.key_size;
	const size_t value_size = map_->value_bytes;
	Napi::Object result = Napi::Object::New(env);
	result["keys"] = CopyBytes(env, &keys_[taken_ * key_size], entries * key_size);
	result["values"] = CopyBytes(env, &values_[taken_ * value_size], entries * value_size);
	result["count"] = entries;
	taken_ += entries;
	return result;
}

void Iterator::Fill(Napi::Env env, uint32_t count)
{
	taken_ = 0;
	filled_ = 0;
	int rc = batched_ ? FillBatch(std::max(count, kSmallestBatch)) : FillSingly(count);
	if (rc == -ENOENT) {
		done_ = true;
		rc = 0;
	}
	CheckBpf(env, rc, batched_ ? "bpf_map_lookup_batch" : "bpf_map_lookup_elem",
		 map_->info.name);
}

void Iterator::Reserve(uint32_t count)
{
	if (count <= capacity_)
		return;
	capacity_ = count;
	keys_.resize(static_cast<size_t>(count) * map_->info.key_size);
	values_.resize(static_cast<size_t>(count) * map_->value_bytes);
}

/* Returns -ENOENT at the end; what filled_ counts is valid also then. */
int Iterator::FillBatch(uint32_t count)
{
	Reserve(count);
	filled_ = capacity_;
	const int rc = bpf_map_lookup_batch(
		map_->descriptor.Get(), started_ ? cursor_.data() : nullptr, next_cursor_.data(),
		keys_.data(), values_.data(), &filled_, nullptr);
	if (rc == 0 || rc == -ENOENT) {
		started_ = true;
		cursor_.swap(next_cursor_);
		return rc;
	}
	filled_ = 0;
	if (rc == -ENOSPC) { /* one bucket holds more than there is room for */
		Reserve(capacity_ * 2);
		return 0;
	}
	if (rc == -EINTR && started_)
		return 0; /* entries vanished while the kernel looked: from the same cursor again */
	if (started_ || (!HasNoBatch(rc) && rc != -EINTR))
		return rc;
	batched_ = false;
	return 0;
}

int Iterator::FillSingly(uint32_t count)
{
	Reserve(count);
	const int fd = map_->descriptor.Get();
	while (filled_ < count) {
		int rc = bpf_map_get_next_key(fd, started_ ? cursor_.data() : nullptr,
					      next_cursor_.data());
		if (rc != 0)
			return rc;
		started_ = true;
		cursor_.swap(next_cursor_);
		rc = bpf_map_lookup_elem(fd, cursor_.data(), &values_[filled_ * map_->value_bytes]);
		if (rc == -ENOENT)
			continue; /* deleted meanwhile */
		if (rc != 0)
			return rc;
		std::copy_n(cursor_.data(), map_->info.key_size,
			    &keys_[filled_ * map_->info.key_size]);
		filled_++;
	}
	return 0;
}

} // namespace isthmus
