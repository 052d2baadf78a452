/* SPDX-License-Identifier: Apache-2.0 */
/* A program at a hook: a bpf_link, or a tc filter where there are none. */
#pragma once

#include "descriptor.h"
#include "filter.h"

#include <napi.h>

#include <string>

namespace isthmus
{

/* What a link is made from. */
struct LinkArguments {
	const char *kind;
	Descriptor descriptor; /* of the bpf_link; none for clsact */
	std::string path; /* of its pin; empty when there is none */
	Filter filter = {}; /* clsact only */
};

class Link : public Napi::ObjectWrap<Link>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);
	static Napi::Value AttachTcx(const Napi::CallbackInfo &info);
	static Napi::Value AttachClsact(const Napi::CallbackInfo &info);
	static Napi::Value DetachClsact(const Napi::CallbackInfo &info);
	static Napi::Value AttachXdp(const Napi::CallbackInfo &info);
	static Napi::Value AttachCgroup(const Napi::CallbackInfo &info);

	explicit Link(const Napi::CallbackInfo &info);

private:
	Napi::Value Kind(const Napi::CallbackInfo &info);
	void Update(const Napi::CallbackInfo &info);
	void Pin(const Napi::CallbackInfo &info);
	void Detach(const Napi::CallbackInfo &info);
	void Close(const Napi::CallbackInfo &info);

	[[nodiscard]] bool IsFilter() const;

	LinkArguments link_;
};

} // namespace isthmus
