/* SPDX-License-Identifier: Apache-2.0 */
/* Type descriptions as raw bytes: of the kernel and of an id. */
#pragma once

#include <napi.h>

namespace isthmus
{

Napi::Value KernelBtf(const Napi::CallbackInfo &info);
Napi::Value BtfById(const Napi::CallbackInfo &info);

/* Raw BTF of a kernel id, e.g. a map's. */
[[nodiscard]] Napi::Value BtfBytes(Napi::Env env, uint32_t id);

} // namespace isthmus
