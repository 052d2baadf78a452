/* SPDX-License-Identifier: Apache-2.0 */
/* The network addon's data of one JavaScript environment: no globals. */
#pragma once

#include <napi.h>

namespace isthmus
{

struct NetClasses {
	Napi::FunctionReference netlink;
};

} // namespace isthmus
