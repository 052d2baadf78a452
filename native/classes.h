/* SPDX-License-Identifier: Apache-2.0 */
/* The JavaScript classes of one environment: there may be several, one a worker thread. */
#pragma once

#include <napi.h>

namespace isthmus
{

struct Classes {
	Napi::FunctionReference object;
	Napi::FunctionReference map;
	Napi::FunctionReference iterator;
	Napi::FunctionReference program;
	Napi::FunctionReference link;
	Napi::FunctionReference ring_buffer;

	static Classes &Of(Napi::Env env)
	{
		return *env.GetInstanceData<Classes>();
	}
};

} // namespace isthmus
