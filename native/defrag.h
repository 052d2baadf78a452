/* SPDX-License-Identifier: Apache-2.0 */
/* Switches reassembly before routing on in one network namespace. */
#pragma once

#include <napi.h>

namespace isthmus
{

/*
 * A program that lets every packet pass, at the netfilter hook before routing, with the flag that
 * has fragments joined first (6.6). Returns a NativeLink; reassembly ends with it.
 */
Napi::Value AttachDefrag(const Napi::CallbackInfo &info);

} // namespace isthmus
