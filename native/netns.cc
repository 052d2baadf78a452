/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace, and the only way in and out of it. */
#include "netns.h"

#include <sched.h>

#include <cerrno>
#include <cstdlib>

#include "error.h"

namespace isthmus
{
namespace
{

/* A thread's, not the process's: a worker thread may live elsewhere than the main thread. */
constexpr const char *own_namespace = "/proc/thread-self/ns/net";

} // namespace

Descriptor OpenNamespace(Napi::Env env, const std::string &path)
{
	const std::string file = path.empty() ? own_namespace : path;
	Descriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC));
	if (descriptor.Get() < 0)
		throw MakeError(env, {errno, "open network namespace", file, "", ""});
	return descriptor;
}

NamespaceScope::NamespaceScope(Napi::Env env, const Descriptor &target)
    : home_(OpenNamespace(env, ""))
{
	if (setns(target.Get(), CLONE_NEWNET))
		throw MakeError(env, {errno, "enter network namespace", "", "", ""});
}

NamespaceScope::~NamespaceScope()
{
	if (setns(home_.Get(), CLONE_NEWNET))
		abort();
}

int CallInNamespace(const std::string &path, const std::function<int()> &call)
{
	const Descriptor home(open(own_namespace, O_RDONLY | O_CLOEXEC));
	const Descriptor target(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	if (home.Get() < 0 || target.Get() < 0 || setns(target.Get(), CLONE_NEWNET))
		return -errno;
	const int rc = call();
	if (setns(home.Get(), CLONE_NEWNET))
		abort();
	return rc;
}

} // namespace isthmus
