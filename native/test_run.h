/* SPDX-License-Identifier: Apache-2.0 */
/* One BPF_PROG_TEST_RUN: bytes in, bytes out. */
#pragma once

#include "descriptor.h"

#include <napi.h>

#include <cstdint>
#include <vector>

namespace isthmus
{

class TestRun
{
public:
	/* Copies what the options hold: Execute() may be called on another thread. */
	TestRun(Descriptor descriptor, uint32_t program_type, const Napi::Object &options);

	/* Returns 0 or -errno. */
	[[nodiscard]] int Execute();
	[[nodiscard]] Napi::Value Result(Napi::Env env) const;

private:
	[[nodiscard]] int ExecuteSyscall();
	[[nodiscard]] int ExecutePacket();

	Descriptor descriptor_;
	uint32_t type_;
	uint32_t repeat_ = 1;
	uint32_t flags_ = 0;
	uint32_t batch_size_ = 0;
	std::vector<uint8_t> data_, context_;
	uint32_t retval_ = 0;
	uint32_t duration_ = 0;
};

} // namespace isthmus
