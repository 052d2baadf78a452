/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an iterator's program on every entry of a map, in parts. */
#pragma once

#include "descriptor.h"

#include <cstddef>

namespace isthmus
{

class Iteration
{
public:
	Iteration(Descriptor program, Descriptor map);

	/* Returns 0 or -errno. May be called on another thread. */
	[[nodiscard]] int Execute();
	/* How often the kernel returned to user space with more to come. */
	[[nodiscard]] size_t Parts() const;

private:
	Descriptor program_, map_;
	size_t parts_ = 0;
};

} // namespace isthmus
