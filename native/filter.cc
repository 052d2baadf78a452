/* SPDX-License-Identifier: Apache-2.0 */
/* Adds, replaces and removes the tc filter of a device. */
#include "filter.h"

#include "descriptor.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace isthmus
{
namespace
{

constexpr uint32_t kHandle = 1;
constexpr uint32_t kPriority = 1;

[[nodiscard]] int CreateQdisc(int ifindex)
{
	const auto both = static_cast<enum bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = both);
	const int rc = bpf_tc_hook_create(&hook);
	return rc == -EEXIST ? 0 : rc;
}

} // namespace

std::string Filter::ProgramName() const
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
	if (bpf_tc_query(&hook, &options) < 0)
		return "";
	const Descriptor program(bpf_prog_get_fd_by_id(options.prog_id));
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);
	if (program.Get() < 0 || bpf_obj_get_info_by_fd(program.Get(), &info, &length) < 0)
		return "";
	return info.name;
}

int Filter::Attach(int program_fd) const
{
	const int rc = CreateQdisc(ifindex);
	if (rc < 0)
		return rc;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE,
		    .handle = kHandle, .priority = kPriority);
	return bpf_tc_attach(&hook, &options);
}

int Filter::Detach() const
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
	const int rc = bpf_tc_detach(&hook, &options);
	return rc == -ENOENT ? 0 : rc;
}

} // namespace isthmus
