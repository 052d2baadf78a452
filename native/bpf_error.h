/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of libbpf, with what it and the verifier had to say. */
#pragma once

#include "error.h"

#include <string>

namespace isthmus
{

/* The same as Check(), for libbpf's own error numbers too. */
int CheckBpf(Napi::Env env, int rc, const char *operation, const std::string &subject = "",
	     const std::string &log = "");

/* Fills in libbpf's text for its own error numbers. */
[[nodiscard]] Failure BpfFailure(int rc, const char *operation, const std::string &subject,
				 const std::string &log);

/* Collects libbpf's warnings of the calling thread while it lives; otherwise they are lost. */
class WarningScope
{
public:
	WarningScope();
	~WarningScope();
	WarningScope(const WarningScope &) = delete;
	WarningScope &operator=(const WarningScope &) = delete;

	/* The last lines: the verifier's reason is at the end of its log. */
	[[nodiscard]] std::string Tail() const;

	/* Takes over libbpf's printing for this process. */
	static void Install();

private:
	std::string text_;
	std::string *outer_;
};

} // namespace isthmus
