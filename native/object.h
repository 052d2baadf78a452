/* SPDX-License-Identifier: Apache-2.0 */
/* An object file: its programs and maps, before and after load. */
#pragma once

#include <napi.h>

#include <memory>
#include <string>

struct bpf_map;
struct bpf_object;
struct bpf_program;

namespace isthmus
{

struct ObjectClose {
	void operator()(struct bpf_object *object) const;
};

class Object : public Napi::ObjectWrap<Object>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

	explicit Object(const Napi::CallbackInfo &info);

private:
	Napi::Value Btf(const Napi::CallbackInfo &info);
	Napi::Value Maps(const Napi::CallbackInfo &info);
	Napi::Value Programs(const Napi::CallbackInfo &info);
	Napi::Value Rodata(const Napi::CallbackInfo &info);
	void SetRodata(const Napi::CallbackInfo &info);
	void SetMaxEntries(const Napi::CallbackInfo &info);
	void SetAutoload(const Napi::CallbackInfo &info);
	void ReuseMap(const Napi::CallbackInfo &info);
	Napi::Value Load(const Napi::CallbackInfo &info);
	void PinMap(const Napi::CallbackInfo &info);
	Napi::Value GetMap(const Napi::CallbackInfo &info);
	Napi::Value GetProgram(const Napi::CallbackInfo &info);
	void Close(const Napi::CallbackInfo &info);

	[[nodiscard]] struct bpf_object *Handle(Napi::Env env) const;
	[[nodiscard]] struct bpf_map *FindMap(Napi::Env env, const std::string &name) const;
	[[nodiscard]] struct bpf_program *FindProgram(Napi::Env env, const std::string &name) const;

	std::unique_ptr<struct bpf_object, ObjectClose> object_;
	std::string path_;
	bool loading_ = false; /* a worker thread has the object */
};

} // namespace isthmus
