/* SPDX-License-Identifier: Apache-2.0 */
/* A program as a tc filter of a device: what links are where the kernel has no tcx. */
#pragma once

#include <bpf/libbpf.h>

#include <string>

namespace isthmus
{

/* Our filter of one side of a device, at priority 1 and handle 1 of its clsact qdisc. */
struct Filter {
	int ifindex = 0;
	enum bpf_tc_attach_point side = BPF_TC_INGRESS;

	/* Name of the program that is there, ours or not; empty when there is none. */
	[[nodiscard]] std::string ProgramName() const;
	/* Adds the qdisc when it is absent. Both return 0 or -errno. */
	[[nodiscard]] int Attach(int program_fd) const;
	/* Leaves the qdisc: others may use it. A missing filter is no error. */
	[[nodiscard]] int Detach() const;
};

} // namespace isthmus
