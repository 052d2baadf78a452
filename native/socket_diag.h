/* SPDX-License-Identifier: Apache-2.0 */
/* The connected sockets of a network namespace, and the end of some: sock_diag. */
#pragma once

#include <linux/inet_diag.h>

#include <cstdint>
#include <string>
#include <vector>

#include "descriptor.h"

namespace isthmus
{

/* How the kernel tells a socket from all others, also from a later one with the same ports. */
struct DiagSocketName {
	uint8_t family;
	uint8_t protocol;
	uint16_t pad;
	struct inet_diag_sockid id;
};

/* For one thread at a time. Knows nothing of JavaScript: worker threads use it. Returns -errno. */
class SocketDiag
{
public:
	[[nodiscard]] int Open(const std::string &netns);
	/* Adds the sockets of both families. */
	[[nodiscard]] int List(uint8_t protocol, std::vector<DiagSocketName> *sockets);
	/* -ENOENT: it is gone already. -EOPNOTSUPP: the kernel is built without this. */
	[[nodiscard]] int Destroy(const DiagSocketName &socket);

private:
	[[nodiscard]] int Request(const void *message, size_t length);
	[[nodiscard]] int ReadList(uint8_t protocol, std::vector<DiagSocketName> *sockets);

	Descriptor netlink_;
	std::vector<uint8_t> buffer_;
};

} // namespace isthmus
