/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes a map, one entry or a batch at a time. */
#include "map.h"

#include "bpf_error.h"
#include "btf.h"
#include "bytes.h"
#include "classes.h"
#include "iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

namespace isthmus
{
namespace
{

[[nodiscard]] bool IsPerCpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

[[nodiscard]] size_t ValueSize(const struct bpf_map_info &info)
{
	if (!IsPerCpu(info.type))
		return info.value_size;
	return static_cast<size_t>((info.value_size + 7) & ~7U) * libbpf_num_possible_cpus();
}

} // namespace

bool HasNoBatch(int rc)
{
	constexpr int not_supported = 524; /* ENOTSUPP, which only the kernel's headers name */
	return rc == -not_supported || rc == -EINVAL;
}

Napi::Object DescribeMap(Napi::Env env, const MapDescription &map)
{
	Napi::Object result = Napi::Object::New(env);
	result["name"] = map.name;
	result["type"] = map.type;
	result["id"] = map.id;
	result["keySize"] = map.key_size;
	result["valueSize"] = map.value_size;
	result["maxEntries"] = map.max_entries;
	result["flags"] = map.flags;
	result["keyTypeId"] = map.key_type_id;
	result["valueTypeId"] = map.value_type_id;
	return result;
}

Napi::Function Map::Define(Napi::Env env)
{
	return DefineClass(env, "NativeMap",
			   {
				   InstanceAccessor<&Map::Info>("info"),
				   InstanceMethod<&Map::Btf>("btf"),
				   InstanceAccessor<&Map::ValueBytes>("valueBytes"),
				   InstanceMethod<&Map::Lookup>("lookup"),
				   InstanceMethod<&Map::Update>("update"),
				   InstanceMethod<&Map::Delete>("delete"),
				   InstanceMethod<&Map::UpdateBatch>("updateBatch"),
				   InstanceMethod<&Map::DeleteBatch>("deleteBatch"),
				   InstanceMethod<&Map::Iterate>("iterate"),
				   InstanceMethod<&Map::Pin>("pin"),
				   InstanceMethod<&Map::Close>("close"),
			   });
}

Napi::Object Map::Create(Napi::Env env, Descriptor descriptor)
{
	return Classes::Of(env).map.New({Napi::External<Descriptor>::New(env, &descriptor)});
}

Napi::Value Map::OpenPinned(const Napi::CallbackInfo &info)
{
	const std::string path = info[0].ToString();
	Descriptor descriptor(bpf_obj_get(path.c_str()));
	if (descriptor.Get() < 0)
		CheckBpf(info.Env(), -errno, "bpf_obj_get", path);
	return Create(info.Env(), std::move(descriptor));
}

Map::Map(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<Map>(info), state_(std::make_shared<MapState>())
{
	state_->descriptor = std::move(*info[0].As<Napi::External<Descriptor>>().Data());
	uint32_t length = sizeof(state_->info);
	CheckBpf(info.Env(), bpf_obj_get_info_by_fd(Fd(), &state_->info, &length),
		 "bpf_obj_get_info_by_fd");
	state_->value_bytes = ValueSize(state_->info);
}

int Map::Fd() const
{
	return state_->descriptor.Get();
}

Napi::Value Map::Info(const Napi::CallbackInfo &info)
{
	const auto &map = state_->info;
	return DescribeMap(info.Env(), {map.name, map.type, map.id, map.key_size, map.value_size,
					map.max_entries, map.map_flags, map.btf_key_type_id,
					map.btf_value_type_id});
}

Napi::Value Map::Btf(const Napi::CallbackInfo &info)
{
	if (state_->info.btf_id == 0)
		return Napi::Buffer<uint8_t>::New(info.Env(), 0);
	return BtfBytes(info.Env(), state_->info.btf_id);
}

Napi::Value Map::ValueBytes(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->value_bytes);
}

std::span<uint8_t> Map::Key(const Napi::Value &value) const
{
	return BytesOf(value, state_->info.key_size, "the key");
}

std::span<uint8_t> Map::Value(const Napi::Value &value) const
{
	return BytesOf(value, state_->value_bytes, "the value");
}

Napi::Value Map::Lookup(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const auto key = Key(info[0]);
	auto value = Napi::Buffer<uint8_t>::New(env, state_->value_bytes);
	const int rc = bpf_map_lookup_elem(Fd(), key.data(), value.Data());
	if (rc == -ENOENT)
		return env.Undefined();
	CheckBpf(env, rc, "bpf_map_lookup_elem", state_->info.name);
	return value;
}

void Map::Update(const Napi::CallbackInfo &info)
{
	const uint64_t flags = info[2].IsUndefined() ? 0 : info[2].ToNumber().Uint32Value();
	const auto key = Key(info[0]);
	const auto value = Value(info[1]);
	CheckBpf(info.Env(), bpf_map_update_elem(Fd(), key.data(), value.data(), flags),
		 "bpf_map_update_elem", state_->info.name);
}

Napi::Value Map::Delete(const Napi::CallbackInfo &info)
{
	const int rc = bpf_map_delete_elem(Fd(), Key(info[0]).data());
	if (rc != -ENOENT)
		CheckBpf(info.Env(), rc, "bpf_map_delete_elem", state_->info.name);
	return Napi::Boolean::New(info.Env(), rc != -ENOENT);
}

void Map::UpdateBatch(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	uint32_t count = info[2].ToNumber();
	const size_t total = count;
	const auto keys = BytesOf(info[0], total * state_->info.key_size, "the keys");
	const auto values = BytesOf(info[1], total * state_->value_bytes, "the values");
	if (total == 0)
		return;
	const int rc = bpf_map_update_batch(Fd(), keys.data(), values.data(), &count, nullptr);
	if (!HasNoBatch(rc)) {
		CheckBpf(env, rc, "bpf_map_update_batch", state_->info.name);
		return;
	}
	for (size_t i = 0; i < total; i++)
		CheckBpf(env,
			 bpf_map_update_elem(Fd(), keys.data() + i * state_->info.key_size,
					     values.data() + i * state_->value_bytes, BPF_ANY),
			 "bpf_map_update_elem", state_->info.name);
}

/* The kernel stops a batch at the first missing key: skip it and go on behind it. */
Napi::Value Map::DeleteBatch(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const size_t total = info[1].ToNumber().Uint32Value();
	const size_t key_size = state_->info.key_size;
	const auto keys = BytesOf(info[0], total * key_size, "the keys");
	size_t deleted = 0;
	size_t next = 0;
	while (next < total) {
		const uint8_t *key = keys.data() + next * key_size;
		uint32_t count = total - next;
		int rc = bpf_map_delete_batch(Fd(), key, &count, nullptr);
		if (HasNoBatch(rc)) {
			rc = bpf_map_delete_elem(Fd(), key);
			count = rc == 0;
		}
		if (rc != -ENOENT)
			CheckBpf(env, rc, "bpf_map_delete_batch", state_->info.name);
		deleted += count;
		next += count + (rc == -ENOENT);
	}
	return Napi::Number::New(env, deleted);
}

Napi::Value Map::Iterate(const Napi::CallbackInfo &info)
{
	return Iterator::Create(info.Env(), state_);
}

void Map::Pin(const Napi::CallbackInfo &info)
{
	const std::string path = info[0].ToString();
	CheckBpf(info.Env(), bpf_obj_pin(Fd(), path.c_str()), "bpf_obj_pin", path);
}

void Map::Close(const Napi::CallbackInfo &)
{
	state_->descriptor.Close();
}

} // namespace isthmus
