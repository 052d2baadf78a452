/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and ends sockets off the event loop: a node may have very many. */
#pragma once

#include <napi.h>

namespace isthmus
{

/* ({netns?, protocol, remote?}) => Promise; see src/bpf/native.ts. */
Napi::Value ListSockets(const Napi::CallbackInfo &info);
/* (program, netns) => Promise of what an iterator program wrote about each socket. */
Napi::Value WalkSockets(const Napi::CallbackInfo &info);
/* (netns, names) => Promise of how many were ended. */
Napi::Value DestroySockets(const Napi::CallbackInfo &info);

} // namespace isthmus
