/* SPDX-License-Identifier: Apache-2.0 */
/* Hands out BTF as bytes; what they mean is TypeScript's business. */
#include "btf.h"

#include "bpf_error.h"
#include "bytes.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
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

Napi::Value RawBytes(Napi::Env env, const struct btf *btf)
{
	uint32_t size = 0;
	const void *data = btf__raw_data(btf, &size);
	if (!data)
		CheckBpf(env, -ENOMEM, "btf__raw_data");
	return CopyBytes(env, data, size);
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
