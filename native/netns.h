/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace, and the only way in and out of it. */
#pragma once

#include <napi.h>

#include <functional>
#include <string>

#include "descriptor.h"

namespace isthmus
{

/* The namespace at the path, the calling thread's own when it is empty. */
[[nodiscard]] Descriptor OpenNamespace(Napi::Env env, const std::string &path);

/*
 * The calling thread is inside while this lives. Nothing but system calls belongs there.
 * A thread that cannot come back would work on in the wrong namespace: the process aborts.
 */
class NamespaceScope
{
public:
	NamespaceScope(Napi::Env env, const Descriptor &target);
	NamespaceScope(const NamespaceScope &) = delete;
	NamespaceScope &operator=(const NamespaceScope &) = delete;
	~NamespaceScope();

private:
	Descriptor home_;
	bool away_;
};

/* What the call returns when it was made inside, or -errno; for threads that know no JavaScript. */
[[nodiscard]] int CallInNamespace(const std::string &path, const std::function<int()> &call);

} // namespace isthmus
