/* SPDX-License-Identifier: Apache-2.0 */
/* The one shape of every error that an addon throws; shared by both addons. */
#pragma once

#include <napi.h>

#include <string>

namespace isthmus
{

/* What failed, without anything of JavaScript: may be made on a worker thread. */
struct Failure {
	int error = 0; /* positive errno */
	std::string operation; /* the call, e.g. bpf_map_update_elem */
	std::string subject; /* what it was done to: a name or a path; may be empty */
	std::string message; /* replaces the text of errno when set */
	std::string log; /* more lines, e.g. the verifier's; may be empty */
};

/* An Error with code (errno's name), errno, operation and, when there is one, log. */
[[nodiscard]] Napi::Error MakeError(Napi::Env env, const Failure &failure);

/* Throws when rc is negative, a -errno; returns rc otherwise. */
int Check(Napi::Env env, int rc, const char *operation, const std::string &subject = "");

} // namespace isthmus
