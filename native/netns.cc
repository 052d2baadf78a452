/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace, and the only way in and out of it. */
#include "netns.h"

#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "error.h"

namespace isthmus
{
namespace
{

/* A thread's, not the process's: a worker thread may live elsewhere than the main thread. */
constexpr const char *own_namespace = "/proc/thread-self/ns/net";

/* Going where one is needs CAP_SYS_ADMIN all the same. */
bool IsSame(const Descriptor &one, const Descriptor &other)
{
	struct stat a, b;

	return !fstat(one.Get(), &a) && !fstat(other.Get(), &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

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
    : home_(OpenNamespace(env, "")), away_(!IsSame(home_, target))
{
	if (away_ && setns(target.Get(), CLONE_NEWNET))
		throw MakeError(env, {errno, "enter network namespace", "", "", ""});
}

NamespaceScope::~NamespaceScope()
{
	if (away_ && setns(home_.Get(), CLONE_NEWNET))
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
