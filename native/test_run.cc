/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program once or many times on given bytes. */
#include "test_run.h"

#include "bytes.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

namespace isthmus
{
namespace
{

/* Room for headers that a program may put in front of the packet. */
constexpr size_t kGrowth = 4096;

std::vector<uint8_t> CopyOption(const Napi::Object &options, const char *name)
{
	const Napi::Value value = options.Get(name);
	if (value.IsUndefined())
		return {};
	const auto bytes = BytesOf(value);
	return {bytes.begin(), bytes.end()};
}

uint32_t NumberOption(const Napi::Object &options, const char *name, uint32_t absent)
{
	const Napi::Value value = options.Get(name);
	return value.IsUndefined() ? absent : value.ToNumber().Uint32Value();
}

} // namespace

TestRun::TestRun(Descriptor descriptor, uint32_t program_type, const Napi::Object &options)
    : descriptor_(std::move(descriptor)), type_(program_type), data_(CopyOption(options, "data")),
      context_(CopyOption(options, "context"))
{
	repeat_ = NumberOption(options, "repeat", 1);
	flags_ = NumberOption(options, "flags", 0);
	batch_size_ = NumberOption(options, "batchSize", 0);
}

int TestRun::Execute()
{
	return type_ == BPF_PROG_TYPE_SYSCALL ? ExecuteSyscall() : ExecutePacket();
}

/* The kernel refuses everything but a context here, and writes it back in place. */
int TestRun::ExecuteSyscall()
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	options.ctx_in = context_.data();
	options.ctx_size_in = context_.size();
	const int rc = bpf_prog_test_run_opts(descriptor_.Get(), &options);
	retval_ = options.retval;
	return rc;
}

int TestRun::ExecutePacket()
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	std::vector<uint8_t> data(data_.size() + kGrowth);
	std::vector<uint8_t> context(context_.size());
	options.data_in = data_.data();
	options.data_size_in = data_.size();
	options.data_out = data.data();
	options.data_size_out = data.size();
	options.repeat = static_cast<int>(repeat_);
	options.flags = flags_;
	options.batch_size = batch_size_;
	if (!context_.empty()) {
		options.ctx_in = context_.data();
		options.ctx_size_in = context_.size();
		options.ctx_out = context.data();
		options.ctx_size_out = context.size();
	}
	const int rc = bpf_prog_test_run_opts(descriptor_.Get(), &options);
	if (rc < 0)
		return rc;
	data.resize(options.data_size_out);
	data_ = std::move(data);
	context_ = std::move(context);
	retval_ = options.retval;
	duration_ = options.duration;
	return 0;
}

Napi::Value TestRun::Result(Napi::Env env) const
{
	Napi::Object result = Napi::Object::New(env);
	result["retval"] = retval_;
	result["data"] = CopyBytes(env, data_.data(), data_.size());
	result["context"] = CopyBytes(env, context_.data(), context_.size());
	result["duration"] = duration_;
	return result;
}

} // namespace isthmus
