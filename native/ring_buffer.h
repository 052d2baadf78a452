/* SPDX-License-Identifier: Apache-2.0 */
/* The reading end of a ring buffer map, on the event loop. */
#pragma once

#include <napi.h>

namespace isthmus
{

struct RingReader;

class RingBuffer : public Napi::ObjectWrap<RingBuffer>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

	explicit RingBuffer(const Napi::CallbackInfo &info);

private:
	void Close(const Napi::CallbackInfo &info);

	/* Belongs to the event loop: like a timer it goes on when its handle is dropped. */
	RingReader *reader_ = nullptr;
};

} // namespace isthmus
