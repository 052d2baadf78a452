/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, prepares and loads an object file. */
#include "object.h"

#include "bpf_error.h"
#include "bytes.h"
#include "classes.h"
#include "descriptor.h"
#include "load_worker.h"
#include "map.h"
#include "program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>

namespace isthmus
{

void ObjectClose::operator()(struct bpf_object *object) const
{
	bpf_object__close(object);
}

namespace
{

Napi::Object Describe(Napi::Env env, const struct bpf_map *map)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);
	if (bpf_map__fd(map) >= 0)
		CheckBpf(env, bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &length),
			 "bpf_obj_get_info_by_fd", bpf_map__name(map));
	return DescribeMap(env, {bpf_map__name(map), static_cast<uint32_t>(bpf_map__type(map)),
				 info.id, bpf_map__key_size(map), bpf_map__value_size(map),
				 bpf_map__max_entries(map), bpf_map__map_flags(map),
				 bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map)});
}

Napi::Object Describe(Napi::Env env, const struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);
	if (bpf_program__fd(program) >= 0)
		CheckBpf(env, bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length),
			 "bpf_obj_get_info_by_fd", bpf_program__name(program));
	info.type = bpf_program__type(program);
	return DescribeProgram(env, bpf_program__name(program), bpf_program__section_name(program),
			       info);
}

Descriptor DuplicateOf(Napi::Env env, int fd, const std::string &name)
{
	Descriptor descriptor = Descriptor::Duplicate(fd);
	if (descriptor.Get() < 0)
		CheckBpf(env, -errno, "dup", name);
	return descriptor;
}

} // namespace

Napi::Function Object::Define(Napi::Env env)
{
	return DefineClass(env, "NativeObject",
			   {
				   InstanceAccessor<&Object::Btf>("btf"),
				   InstanceMethod<&Object::Maps>("maps"),
				   InstanceMethod<&Object::Programs>("programs"),
				   InstanceMethod<&Object::Rodata>("rodata"),
				   InstanceMethod<&Object::SetRodata>("setRodata"),
				   InstanceMethod<&Object::SetMaxEntries>("setMaxEntries"),
				   InstanceMethod<&Object::SetAutoload>("setAutoload"),
				   InstanceMethod<&Object::ReuseMap>("reuseMap"),
				   InstanceMethod<&Object::Load>("load"),
				   InstanceMethod<&Object::PinMap>("pinMap"),
				   InstanceMethod<&Object::GetMap>("map"),
				   InstanceMethod<&Object::GetProgram>("program"),
				   InstanceMethod<&Object::Close>("close"),
			   });
}

Napi::Value Object::Open(const Napi::CallbackInfo &info)
{
	return Classes::Of(info.Env()).object.New({info[0].ToString()});
}

Object::Object(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<Object>(info), path_(info[0].ToString())
{
	const WarningScope warnings;
	object_.reset(bpf_object__open(path_.c_str()));
	if (!object_)
		CheckBpf(info.Env(), -errno, "bpf_object__open", path_, warnings.Tail());
}

struct bpf_object *Object::Handle(Napi::Env env) const
{
	if (loading_)
		throw MakeError(env, {EBUSY, "object", path_, "it is being loaded", ""});
	if (!object_)
		throw MakeError(env, {EBADF, "object", path_, "it is closed", ""});
	return object_.get();
}

struct bpf_map *Object::FindMap(Napi::Env env, const std::string &name) const
{
	struct bpf_map *map = bpf_object__find_map_by_name(Handle(env), name.c_str());
	if (!map)
		throw MakeError(env, {ENOENT, "find map", name, "not in " + path_, ""});
	return map;
}

struct bpf_program *Object::FindProgram(Napi::Env env, const std::string &name) const
{
	struct bpf_program *program = bpf_object__find_program_by_name(Handle(env), name.c_str());
	if (!program)
		throw MakeError(env, {ENOENT, "find program", name, "not in " + path_, ""});
	return program;
}

Napi::Value Object::Btf(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const struct btf *btf = bpf_object__btf(Handle(env));
	uint32_t size = 0;
	const void *data = btf ? btf__raw_data(btf, &size) : nullptr;
	return CopyBytes(env, data, size);
}

Napi::Value Object::Maps(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	Napi::Array result = Napi::Array::New(env);
	struct bpf_map *map;
	bpf_object__for_each_map(map, Handle(env)) result[result.Length()] = Describe(env, map);
	return result;
}

Napi::Value Object::Programs(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	Napi::Array result = Napi::Array::New(env);
	struct bpf_program *program;
	bpf_object__for_each_program(program, Handle(env)) result[result.Length()] =
		Describe(env, program);
	return result;
}

Napi::Value Object::Rodata(const Napi::CallbackInfo &info)
{
	size_t size = 0;
	const void *data = bpf_map__initial_value(FindMap(info.Env(), ".rodata"), &size);
	return CopyBytes(info.Env(), data, data ? size : 0);
}

void Object::SetRodata(const Napi::CallbackInfo &info)
{
	const auto bytes = BytesOf(info[0]);
	CheckBpf(info.Env(),
		 bpf_map__set_initial_value(FindMap(info.Env(), ".rodata"), bytes.data(),
					    bytes.size()),
		 "bpf_map__set_initial_value", ".rodata");
}

void Object::SetMaxEntries(const Napi::CallbackInfo &info)
{
	const std::string name = info[0].ToString();
	CheckBpf(info.Env(),
		 bpf_map__set_max_entries(FindMap(info.Env(), name),
					  info[1].ToNumber().Uint32Value()),
		 "bpf_map__set_max_entries", name);
}

void Object::SetAutoload(const Napi::CallbackInfo &info)
{
	const std::string name = info[0].ToString();
	CheckBpf(info.Env(),
		 bpf_program__set_autoload(FindProgram(info.Env(), name), info[1].ToBoolean()),
		 "bpf_program__set_autoload", name);
}

void Object::ReuseMap(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const std::string path = info[1].ToString();
	struct bpf_map *map = FindMap(env, info[0].ToString());
	const Descriptor descriptor(bpf_obj_get(path.c_str()));
	if (descriptor.Get() < 0)
		CheckBpf(env, -errno, "bpf_obj_get", path);
	CheckBpf(env, bpf_map__reuse_fd(map, descriptor.Get()), "bpf_map__reuse_fd", path);
}

Napi::Value Object::Load(const Napi::CallbackInfo &info)
{
	struct bpf_object *object = Handle(info.Env());
	auto *worker = new LoadWorker(info.Env(), object, path_, [this] {
		loading_ = false;
		Unref();
	});
	loading_ = true;
	Ref();
	worker->Queue(); /* deletes itself when done */
	return worker->Promise();
}

void Object::PinMap(const Napi::CallbackInfo &info)
{
	const std::string path = info[1].ToString();
	const struct bpf_map *map = FindMap(info.Env(), info[0].ToString());
	CheckBpf(info.Env(), bpf_obj_pin(bpf_map__fd(map), path.c_str()), "bpf_obj_pin", path);
}

Napi::Value Object::GetMap(const Napi::CallbackInfo &info)
{
	const std::string name = info[0].ToString();
	const int fd = bpf_map__fd(FindMap(info.Env(), name));
	return Map::Create(info.Env(), DuplicateOf(info.Env(), fd, name));
}

Napi::Value Object::GetProgram(const Napi::CallbackInfo &info)
{
	const std::string name = info[0].ToString();
	const struct bpf_program *program = FindProgram(info.Env(), name);
	return Program::Create(info.Env(), DuplicateOf(info.Env(), bpf_program__fd(program), name),
			       bpf_program__section_name(program));
}

void Object::Close(const Napi::CallbackInfo &info)
{
	if (!object_)
		return;
	(void)Handle(info.Env());
	object_.reset();
}

} // namespace isthmus
