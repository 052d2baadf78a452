/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one file descriptor. */
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace isthmus
{

class Descriptor
{
public:
	Descriptor() = default;
	explicit Descriptor(int fd) : fd_(fd)
	{
	}
	Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1))
	{
	}
	Descriptor &operator=(Descriptor &&other) noexcept
	{
		Close();
		fd_ = std::exchange(other.fd_, -1);
		return *this;
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor()
	{
		Close();
	}

	/* -1 when closed: the kernel answers EBADF. */
	[[nodiscard]] int Get() const
	{
		return fd_;
	}

	/* A second descriptor of the same kernel object; invalid, with errno set, on failure. */
	[[nodiscard]] static Descriptor Duplicate(int fd)
	{
		return Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	}

	void Close()
	{
		if (fd_ >= 0)
			close(std::exchange(fd_, -1));
	}

private:
	int fd_ = -1;
};

} // namespace isthmus
