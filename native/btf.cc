/* SPDX-License-Identifier: Apache-2.0 */
/* Hands out BTF as bytes; what they mean is TypeScript's business. */
#include "btf.h"

#include "bpf_error.h"
#include "bytes.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string>

namespace isthmus
{
namespace
{

struct BtfFree {
	void operator()(struct btf *btf) const
	{
		btf__free(btf);
	}
};
using BtfPointer = std::unique_ptr<struct btf, BtfFree>;

struct DumpFree {
	void operator()(struct btf_dump *dump) const
	{
		btf_dump__free(dump);
	}
};
using DumpPointer = std::unique_ptr<struct btf_dump, DumpFree>;

Napi::Value RawBytes(Napi::Env env, const struct btf *btf)
{
	uint32_t size = 0;
	const void *data = btf__raw_data(btf, &size);
	if (!data)
		CheckBpf(env, -ENOMEM, "btf__raw_data");
	return CopyBytes(env, data, size);
}

void AppendText(void *context, const char *format, va_list arguments) noexcept
{
	auto *text = static_cast<std::string *>(context);
	va_list again;
	va_copy(again, arguments);
	const int length = vsnprintf(nullptr, 0, format, again);
	va_end(again);
	if (length <= 0)
		return;
	const size_t start = text->size();
	text->resize(start + length + 1);
	vsnprintf(text->data() + start, length + 1, format, arguments);
	text->resize(start + length);
}

} // namespace

Napi::Value KernelBtf(const Napi::CallbackInfo &info)
{
	const WarningScope warnings;
	const BtfPointer btf(btf__load_vmlinux_btf());
	if (!btf)
		CheckBpf(info.Env(), -errno, "btf__load_vmlinux_btf", "", warnings.Tail());
	return RawBytes(info.Env(), btf.get());
}

Napi::Value DumpBtfAsC(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const auto bytes = BytesOf(info[0]);
	const BtfPointer btf(btf__new(bytes.data(), bytes.size()));
	if (!btf)
		CheckBpf(env, -errno, "btf__new");
	std::string text;
	const DumpPointer dump(btf_dump__new(btf.get(), AppendText, &text, nullptr));
	if (!dump)
		CheckBpf(env, -errno, "btf_dump__new");
	for (uint32_t id = 1; id < btf__type_cnt(btf.get()); id++)
		CheckBpf(env, btf_dump__dump_type(dump.get(), id), "btf_dump__dump_type",
			 std::to_string(id));
	return Napi::String::New(env, text);
}

Napi::Value BtfBytes(Napi::Env env, uint32_t id)
{
	const BtfPointer btf(btf__load_from_kernel_by_id(id));
	if (!btf)
		CheckBpf(env, -errno, "btf__load_from_kernel_by_id", std::to_string(id));
	return RawBytes(env, btf.get());
}

Napi::Value BtfById(const Napi::CallbackInfo &info)
{
	return BtfBytes(info.Env(), info[0].ToNumber().Uint32Value());
}

} // namespace isthmus
