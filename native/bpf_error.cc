/* SPDX-License-Identifier: Apache-2.0 */
/* Collects libbpf's warnings and turns its return codes into errors. */
#include "bpf_error.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>

namespace isthmus
{
namespace
{

constexpr int kTailLines = 20;

/* libbpf's print function has no context argument, and objects load on several threads. */
thread_local std::string *collected = nullptr;

int Print(enum libbpf_print_level level, const char *format, va_list arguments) noexcept
{
	if (level != LIBBPF_WARN || !collected)
		return 0;
	va_list again;
	va_copy(again, arguments);
	const int length = vsnprintf(nullptr, 0, format, again);
	va_end(again);
	if (length <= 0)
		return length;
	const size_t start = collected->size();
	collected->resize(start + length + 1);
	vsnprintf(collected->data() + start, length + 1, format, arguments);
	collected->resize(start + length);
	return length;
}

} // namespace

WarningScope::WarningScope() : outer_(collected)
{
	collected = &text_;
}

WarningScope::~WarningScope()
{
	collected = outer_;
}

std::string WarningScope::Tail() const
{
	size_t end = text_.find_last_not_of('\n');
	if (end == std::string::npos)
		return "";
	size_t start = end;
	for (int lines = 0; lines < kTailLines && start != std::string::npos; lines++)
		start = start == 0 ? std::string::npos : text_.rfind('\n', start - 1);
	start = start == std::string::npos ? 0 : start + 1;
	return text_.substr(start, end + 1 - start);
}

void WarningScope::Install()
{
	libbpf_set_print(Print);
}

Failure BpfFailure(int rc, const char *operation, const std::string &subject,
		   const std::string &log)
{
	Failure failure{-rc, operation, subject, "", log};
	if (-rc < __LIBBPF_ERRNO__START)
		return failure;
	char text[128];
	libbpf_strerror(rc, text, sizeof(text));
	failure.message = text;
	return failure;
}

int CheckBpf(Napi::Env env, int rc, const char *operation, const std::string &subject,
	     const std::string &log)
{
	if (rc >= 0)
		return rc;
	throw MakeError(env, BpfFailure(rc, operation, subject, log));
}

} // namespace isthmus
