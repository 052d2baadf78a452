/* SPDX-License-Identifier: Apache-2.0 */
/* Makes JavaScript errors from errno. */
#include "error.h"

#include <cstring>

namespace isthmus
{
namespace
{

/* Errors that libraries number beyond errno have no name of their own. */
std::string CodeOf(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : "ERR_LIBRARY_" + std::to_string(error);
}

std::string MessageOf(const Failure &failure, const std::string &code)
{
	std::string text = failure.operation;
	if (!failure.subject.empty())
		text += " '" + failure.subject + "'";
	text += ": ";
	text += failure.message.empty() ? strerror(failure.error) : failure.message;
	return text + " (" + code + ")";
}

} // namespace

Napi::Error MakeError(Napi::Env env, const Failure &failure)
{
	const std::string code = CodeOf(failure.error);
	Napi::Error error = Napi::Error::New(env, MessageOf(failure, code));
	error.Set("code", Napi::String::New(env, code));
	error.Set("errno", Napi::Number::New(env, failure.error));
	error.Set("operation", Napi::String::New(env, failure.operation));
	if (!failure.log.empty())
		error.Set("log", Napi::String::New(env, failure.log));
	return error;
}

int Check(Napi::Env env, int rc, const char *operation, const std::string &subject)
{
	if (rc >= 0)
		return rc;
	throw MakeError(env, {-rc, operation, subject, "", ""});
}

} // namespace isthmus
