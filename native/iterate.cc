/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an iterator's program on every entry of a map, in parts. */
#include "iterate.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace isthmus
{
namespace
{

/* What the kernel keeps of a program's output: it returns when that is full. */
constexpr size_t kBuffer = 32768;

Descriptor Attach(int program, int map)
{
	union bpf_iter_link_info info = {};
	LIBBPF_OPTS(bpf_link_create_opts, options);

	info.map.map_fd = static_cast<uint32_t>(map);
	options.iter_info = &info;
	options.iter_info_len = sizeof(info);
	return Descriptor(bpf_link_create(program, 0, BPF_TRACE_ITER, &options));
}

} // namespace

Iteration::Iteration(Descriptor program, Descriptor map)
    : program_(std::move(program)), map_(std::move(map))
{
}

int Iteration::Execute()
{
	const Descriptor link = Attach(program_.Get(), map_.Get());
	if (link.Get() < 0)
		return -errno;
	const Descriptor iterator(bpf_iter_create(link.Get()));
	if (iterator.Get() < 0)
		return -errno;
	std::array<uint8_t, kBuffer> ignored;
	for (;;) {
		const ssize_t bytes = read(iterator.Get(), ignored.data(), ignored.size());
		if (bytes == 0)
			return 0;
		if (bytes < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		parts_++;
		sched_yield();
	}
}

size_t Iteration::Parts() const
{
	return parts_;
}

} // namespace isthmus
