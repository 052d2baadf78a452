/* SPDX-License-Identifier: Apache-2.0 */
/* Loads an object on a worker thread and settles a promise. */
#include "load_worker.h"

#include "bpf_error.h"

#include <bpf/libbpf.h>

namespace isthmus
{

LoadWorker::LoadWorker(Napi::Env env, struct bpf_object *object, std::string path,
		       std::function<void()> done)
    : Napi::AsyncWorker(env), deferred_(env), object_(object), path_(std::move(path)),
      done_(std::move(done))
{
}

Napi::Promise LoadWorker::Promise() const
{
	return deferred_.Promise();
}

void LoadWorker::Execute()
{
	const WarningScope warnings;
	rc_ = bpf_object__load(object_);
	log_ = warnings.Tail();
}

void LoadWorker::OnOK()
{
	done_();
	if (rc_ == 0)
		deferred_.Resolve(Env().Undefined());
	else
		deferred_.Reject(
			MakeError(Env(), BpfFailure(rc_, "bpf_object__load", path_, log_)).Value());
}

} // namespace isthmus
