/* SPDX-License-Identifier: Apache-2.0 */
/* A map of the kernel. */
#pragma once

#include "descriptor.h"

#include <linux/bpf.h>
#include <napi.h>

#include <memory>
#include <span>

namespace isthmus
{

/* What all handles of one map need: shared, because a walk may outlive the handle. */
struct MapState {
	Descriptor descriptor;
	struct bpf_map_info info;
	size_t value_bytes; /* as user space sees a value: per-CPU maps have one a CPU */
};

class Map : public Napi::ObjectWrap<Map>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Object Create(Napi::Env env, Descriptor descriptor);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);

	explicit Map(const Napi::CallbackInfo &info);
	[[nodiscard]] int Fd() const;

private:
	Napi::Value Info(const Napi::CallbackInfo &info);
	Napi::Value Btf(const Napi::CallbackInfo &info);
	Napi::Value ValueBytes(const Napi::CallbackInfo &info);
	Napi::Value Lookup(const Napi::CallbackInfo &info);
	void Update(const Napi::CallbackInfo &info);
	Napi::Value Delete(const Napi::CallbackInfo &info);
	void UpdateBatch(const Napi::CallbackInfo &info);
	Napi::Value DeleteBatch(const Napi::CallbackInfo &info);
	Napi::Value Iterate(const Napi::CallbackInfo &info);
	void Pin(const Napi::CallbackInfo &info);
	void Close(const Napi::CallbackInfo &info);

	[[nodiscard]] std::span<uint8_t> Key(const Napi::Value &value) const;
	[[nodiscard]] std::span<uint8_t> Value(const Napi::Value &value) const;

	std::shared_ptr<MapState> state_;
};

/* Whether the kernel has no batch call, or none for this type; EINVAL may mean more than that. */
[[nodiscard]] bool HasNoBatch(int rc);

/* A map in the shape of MapInfo. */
struct MapDescription {
	const char *name;
	uint32_t type, id, key_size, value_size, max_entries, flags, key_type_id, value_type_id;
};
[[nodiscard]] Napi::Object DescribeMap(Napi::Env env, const MapDescription &map);

} // namespace isthmus
