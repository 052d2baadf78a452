/* SPDX-License-Identifier: Apache-2.0 */
/* Sysctls of a network namespace: /proc/sys/net shows the one of the thread that opens a file. */
#include "netlink.h"

#include <algorithm>
#include <cerrno>

#include "error.h"
#include "netns.h"

namespace isthmus
{
namespace
{

/*
 * As sysctl(8) reads names: `net.ipv4.ip_forward`, or `net/ipv4/conf/eth0.5/forwarding` where a
 * part has dots in it.
 */
std::string PathOf(Napi::Env env, std::string name)
{
	const size_t separator = name.find_first_of("./");
	if (separator != std::string::npos && name[separator] == '.')
		std::ranges::replace(name, '.', '/');
	if (!name.starts_with("net/") || name.find("..") != std::string::npos)
		throw MakeError(env, {EINVAL, "find sysctl", name, "not below net", ""});
	return "/proc/sys/" + name;
}

/*
 * A container that is not privileged may not write below its own /proc/sys, and has the host's in
 * another place: deploy/kustomize/components/capabilities mounts it.
 */
int OpenAnywhere(const std::string &path, int flags)
{
	const int fd = open(path.c_str(), flags | O_CLOEXEC);
	if (fd >= 0 || errno != EROFS)
		return fd;
	const int other = open(("/host" + path).c_str(), flags | O_CLOEXEC);
	if (other < 0)
		errno = EROFS;
	return other;
}

Descriptor OpenSysctl(Napi::Env env, const Descriptor &netns, const std::string &path, int flags)
{
	int fd, error;
	{
		const NamespaceScope inside(env, netns);
		fd = OpenAnywhere(path, flags);
		error = errno;
	}
	if (fd < 0)
		throw MakeError(env, {error, "open sysctl", path, "", ""});
	return Descriptor(fd);
}

} // namespace

void Netlink::WriteSysctl(const Napi::CallbackInfo &info)
{
	const std::string path = PathOf(info.Env(), info[0].As<Napi::String>().Utf8Value());
	const std::string value = info[1].As<Napi::String>().Utf8Value();
	const Descriptor file = OpenSysctl(info.Env(), namespace_, path, O_WRONLY);
	if (write(file.Get(), value.data(), value.size()) < 0)
		throw MakeError(info.Env(), {errno, "write sysctl", path + " = " + value, "", ""});
}

Napi::Value Netlink::ReadSysctl(const Napi::CallbackInfo &info)
{
	const std::string path = PathOf(info.Env(), info[0].As<Napi::String>().Utf8Value());
	const Descriptor file = OpenSysctl(info.Env(), namespace_, path, O_RDONLY);
	char value[65536];
	ssize_t length = read(file.Get(), value, sizeof(value));
	if (length < 0)
		throw MakeError(info.Env(), {errno, "read sysctl", path, "", ""});
	if (length && value[length - 1] == '\n')
		length--;
	return Napi::String::New(info.Env(), value, static_cast<size_t>(length));
}

} // namespace isthmus
