/* SPDX-License-Identifier: Apache-2.0 */
/* Frames by hand, through a packet socket. */
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_LIMIT (64 * 1024)
#define LINE_LIMIT  (2 * FRAME_LIMIT + 2)

struct line {
	char text[LINE_LIMIT];
	size_t length; /* bytes that were read and not yet sent */
};

static int packet_socket(const char *device)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device),
	};
	int buffer = 4 << 20;
	int fd;

	if (!address.sll_ifindex)
		return -errno;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -errno;
}

static int digit(char character)
{
	const char *digits = "0123456789abcdef";
	const char *at = character ? strchr(digits, character) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Sends what a line of `length` characters says; false when it is no frame. */
static bool send_line(int fd, const char *text, size_t length)
{
	static unsigned char frame[FRAME_LIMIT];

	if (!length || length % 2 || length / 2 > sizeof(frame))
		return false;
	for (size_t i = 0; i < length; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		frame[i / 2] = (unsigned char)(high << 4 | low);
	}
	return send(fd, frame, length / 2, 0) == (ssize_t)(length / 2);
}

/* Sends all whole lines that are there and keeps the rest; 1 at the end of the input. */
static int send_input(int fd, struct line *line)
{
	ssize_t count = read(STDIN_FILENO, line->text + line->length, LINE_LIMIT - line->length);
	char *begin = line->text, *end;

	if (count <= 0)
		return count ? -errno : 1;
	line->length += (size_t)count;
	while ((end = memchr(begin, '\n', line->length))) {
		size_t length = (size_t)(end - begin);

		if (!send_line(fd, begin, length))
			return -EINVAL;
		line->length -= length + 1;
		begin = end + 1;
	}
	memmove(line->text, begin, line->length);
	return line->length == LINE_LIMIT ? -EMSGSIZE : 0;
}

/* Prints one frame that arrived; what this host itself sends is none. */
static void print_frame(int fd)
{
	static unsigned char frame[FRAME_LIMIT];
	struct sockaddr_ll from;
	socklen_t length = sizeof(from);
	ssize_t count = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &length);

	if (count <= 0 || from.sll_pkttype == PACKET_OUTGOING)
		return;
	for (ssize_t i = 0; i < count; i++)
		printf("%02x", frame[i]);
	putchar('\n');
	fflush(stdout);
}

static int exchange(int fd)
{
	static struct line line;
	struct pollfd fds[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	int rc = 0;

	while (!rc && poll(fds, 2, -1) > 0) {
		if (fds[1].revents)
			print_frame(fd);
		if (fds[0].revents)
			rc = send_input(fd, &line);
	}
	return rc < 0 ? rc : 0;
}

int frames_run(const struct options *options)
{
	int fd, rc;

	if (options->word_count != 2)
		options_usage();
	fd = packet_socket(options->words[1]);
	rc = fd;
	if (fd >= 0) {
		puts("ready");
		fflush(stdout);
		rc = exchange(fd);
		close(fd);
	}
	if (rc >= 0)
		return 0;
	fprintf(stderr, "isthmus-probe: frames of '%s': %s\n", options->words[1], strerror(-rc));
	return 1;
}
