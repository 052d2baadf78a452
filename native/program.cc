/* SPDX-License-Identifier: Apache-2.0 */
/* Describes, test-runs and pins a program. */
#include "program.h"

#include "bpf_error.h"
#include "classes.h"
#include "map.h"
#include "test_run.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdio>

namespace isthmus
{
namespace
{

/* What Create() hands to the constructor. */
struct Arguments {
	Descriptor descriptor;
	std::string section;
};

/* Runs off the event loop: a program that walks a large map takes long. */
class RunWorker : public Napi::AsyncWorker
{
public:
	RunWorker(Napi::Env env, TestRun run, std::string name)
	    : Napi::AsyncWorker(env), deferred_(env), run_(std::move(run)), name_(std::move(name))
	{
	}

	Napi::Promise Promise() const
	{
		return deferred_.Promise();
	}

	void Execute() override
	{
		rc_ = run_.Execute();
	}

	void OnOK() override
	{
		if (rc_ == 0)
			deferred_.Resolve(run_.Result(Env()));
		else
			deferred_.Reject(MakeError(Env(), BpfFailure(rc_, "bpf_prog_test_run_opts",
								     name_, ""))
						 .Value());
	}

private:
	Napi::Promise::Deferred deferred_;
	TestRun run_;
	std::string name_;
	int rc_ = 0;
};

Descriptor DuplicateOf(Napi::Env env, int fd)
{
	Descriptor descriptor = Descriptor::Duplicate(fd);
	if (descriptor.Get() < 0)
		CheckBpf(env, -errno, "dup");
	return descriptor;
}

std::string HexOf(const uint8_t *bytes, size_t size)
{
	std::string text;
	for (size_t i = 0; i < size; i++) {
		char pair[3];
		snprintf(pair, sizeof(pair), "%02x", bytes[i]);
		text += pair;
	}
	return text;
}

TestRun Prepare(const Napi::CallbackInfo &info, int fd, uint32_t type)
{
	return TestRun(DuplicateOf(info.Env(), fd), type, info[0].ToObject());
}

} // namespace

Napi::Object DescribeProgram(Napi::Env env, const std::string &name, const std::string &section,
			     const struct bpf_prog_info &info)
{
	Napi::Object result = Napi::Object::New(env);
	result["name"] = name;
	result["section"] = section;
	result["type"] = info.type;
	result["id"] = info.id;
	result["verifiedInstructions"] = info.verified_insns;
	result["jitedBytes"] = info.jited_prog_len;
	result["instructions"] = info.xlated_prog_len / static_cast<uint32_t>(sizeof(bpf_insn));
	result["tag"] = info.id ? HexOf(info.tag, sizeof(info.tag)) : "";
	return result;
}

Napi::Function Program::Define(Napi::Env env)
{
	return DefineClass(env, "NativeProgram",
			   {
				   InstanceAccessor<&Program::Info>("info"),
				   InstanceMethod<&Program::TestRun>("testRun"),
				   InstanceMethod<&Program::Run>("run"),
				   InstanceMethod<&Program::Pin>("pin"),
				   InstanceMethod<&Program::Close>("close"),
			   });
}

Napi::Object Program::Create(Napi::Env env, Descriptor descriptor, const std::string &section)
{
	Arguments arguments{std::move(descriptor), section};
	return Classes::Of(env).program.New({Napi::External<Arguments>::New(env, &arguments)});
}

Napi::Value Program::OpenPinned(const Napi::CallbackInfo &info)
{
	const std::string path = info[0].ToString();
	Descriptor descriptor(bpf_obj_get(path.c_str()));
	if (descriptor.Get() < 0)
		CheckBpf(info.Env(), -errno, "bpf_obj_get", path);
	return Create(info.Env(), std::move(descriptor), "");
}

Program::Program(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Program>(info)
{
	auto *arguments = info[0].As<Napi::External<Arguments>>().Data();
	descriptor_ = std::move(arguments->descriptor);
	section_ = std::move(arguments->section);
	uint32_t length = sizeof(info_);
	CheckBpf(info.Env(), bpf_obj_get_info_by_fd(Fd(), &info_, &length),
		 "bpf_obj_get_info_by_fd");
}

int Program::Fd() const
{
	return descriptor_.Get();
}

std::string Program::Name() const
{
	return info_.name;
}

Napi::Value Program::Info(const Napi::CallbackInfo &info)
{
	return DescribeProgram(info.Env(), info_.name, section_, info_);
}

Napi::Value Program::TestRun(const Napi::CallbackInfo &info)
{
	auto run = Prepare(info, Fd(), info_.type);
	CheckBpf(info.Env(), run.Execute(), "bpf_prog_test_run_opts", info_.name);
	return run.Result(info.Env());
}

Napi::Value Program::Run(const Napi::CallbackInfo &info)
{
	auto *worker = new RunWorker(info.Env(), Prepare(info, Fd(), info_.type), info_.name);
	worker->Queue(); /* deletes itself when done */
	return worker->Promise();
}

void Program::Pin(const Napi::CallbackInfo &info)
{
	const std::string path = info[0].ToString();
	CheckBpf(info.Env(), bpf_obj_pin(Fd(), path.c_str()), "bpf_obj_pin", path);
}

void Program::Close(const Napi::CallbackInfo &)
{
	descriptor_.Close();
}

} // namespace isthmus
