/* SPDX-License-Identifier: Apache-2.0 */
/* Loads an object off the event loop: verification takes up to seconds. */
#pragma once

#include <napi.h>

#include <functional>
#include <string>

struct bpf_object;

namespace isthmus
{

class LoadWorker : public Napi::AsyncWorker
{
public:
	/* `done` is called on the event loop, before the promise settles, whatever came of it. */
	LoadWorker(Napi::Env env, struct bpf_object *object, std::string path,
		   std::function<void()> done);

	[[nodiscard]] Napi::Promise Promise() const;
	void Execute() override;
	void OnOK() override;

private:
	Napi::Promise::Deferred deferred_;
	struct bpf_object *object_;
	std::string path_;
	std::function<void()> done_;
	std::string log_;
	int rc_ = 0;
};

} // namespace isthmus
