/* SPDX-License-Identifier: Apache-2.0 */
/* Switches reassembly before routing on in one network namespace. */
#include "defrag.h"

#include <bpf/bpf.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "bpf_error.h"
#include "classes.h"
#include "link.h"
#include "netns.h"

namespace isthmus
{
namespace
{

/* Newer than the kernel headers this may be built with: links 6.4, the flag 6.6. */
const auto kProgramTypeNetfilter = static_cast<enum bpf_prog_type>(32);
constexpr auto kAttachNetfilter = static_cast<enum bpf_attach_type>(45);
constexpr uint32_t kPreRouting = 0;
constexpr uint32_t kDefrag = 1;
constexpr int kAccept = 1;

/* The part of union bpf_attr that BPF_LINK_CREATE reads for netfilter. */
struct LinkCreate {
	uint32_t program;
	uint32_t target;
	uint32_t attach_type;
	uint32_t flags;
	uint32_t family;
	uint32_t hook;
	int32_t priority;
	uint32_t netfilter_flags;
};

Descriptor LoadAccept(Napi::Env env)
{
	const struct bpf_insn instructions[] = {
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, kAccept},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = kAttachNetfilter);
	Descriptor program(bpf_prog_load(kProgramTypeNetfilter, "defrag", "Dual BSD/GPL",
					 instructions, 2, &options));
	if (program.Get() < 0)
		CheckBpf(env, -errno, "bpf_prog_load netfilter");
	return program;
}

/* The link belongs to the namespace that the calling thread is in. */
Descriptor CreateLink(Napi::Env env, const Descriptor &netns, LinkCreate *request)
{
	int fd, error;
	{
		const NamespaceScope inside(env, netns);
		fd = static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, request, sizeof(*request)));
		error = errno;
	}
	if (fd < 0)
		CheckBpf(env, -error, "bpf_link_create netfilter");
	return Descriptor(fd);
}

} // namespace

Napi::Value AttachDefrag(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const Descriptor netns = OpenNamespace(env, info[0].ToString());
	const bool ipv4 = std::string(info[1].ToString()) == "ipv4";
	const Descriptor program = LoadAccept(env);
	LinkCreate request = {
		.program = static_cast<uint32_t>(program.Get()),
		.target = 0,
		.attach_type = kAttachNetfilter,
		.flags = 0,
		.family = ipv4 ? static_cast<uint32_t>(AF_INET) : static_cast<uint32_t>(AF_INET6),
		.hook = kPreRouting,
		.priority = 0,
		.netfilter_flags = kDefrag,
	};
	LinkArguments link = {"netfilter", CreateLink(env, netns, &request), ""};
	return Classes::Of(env).link.New({Napi::External<LinkArguments>::New(env, &link)});
}

} // namespace isthmus
