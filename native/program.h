/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded program of the kernel. */
#pragma once

#include "descriptor.h"

#include <linux/bpf.h>
#include <napi.h>

#include <string>

namespace isthmus
{

class Program : public Napi::ObjectWrap<Program>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Object Create(Napi::Env env, Descriptor descriptor,
				   const std::string &section);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);

	explicit Program(const Napi::CallbackInfo &info);
	[[nodiscard]] int Fd() const;
	/* As the kernel keeps it: cut after 15 bytes. */
	[[nodiscard]] std::string Name() const;

private:
	Napi::Value Info(const Napi::CallbackInfo &info);
	Napi::Value TestRun(const Napi::CallbackInfo &info);
	Napi::Value Run(const Napi::CallbackInfo &info);
	void Pin(const Napi::CallbackInfo &info);
	void Close(const Napi::CallbackInfo &info);

	Descriptor descriptor_;
	struct bpf_prog_info info_ = {};
	std::string section_;
};

/* A program in the shape of ProgramInfo; all of `info` but the type is zero before load. */
[[nodiscard]] Napi::Object DescribeProgram(Napi::Env env, const std::string &name,
					   const std::string &section,
					   const struct bpf_prog_info &info);

} // namespace isthmus
