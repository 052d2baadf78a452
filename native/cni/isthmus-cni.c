/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI plugin: hands stdin and the CNI environment to the agent and prints its answer. */
#define _GNU_SOURCE /* strcasestr */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A container runtime starts this for every pod, so it is small and knows nothing: no JSON is read
 * here, and all decisions are the agent's. It either passes on what the agent says, or says
 * itself why it could not ask; in that case nothing was changed. It may be told to run another
 * plugin, which chooses the addresses: the agent lives elsewhere, where the plugins are not.
 */

#define CNI_VERSION	"1.1.0"
#define DEFAULT_SOCKET	"/run/isthmus/agent.sock"
#define DEFAULT_TIMEOUT 60 /* seconds, for everything together */
#define INPUT_LIMIT	(1 << 20)
#define HEADER_LIMIT	(64 << 10)
#define ANSWER_LIMIT	(2 << 20)
#define OUTCOME_LIMIT	(512 << 10)
#define TYPE_LIMIT	128

/* https://www.cni.dev/docs/spec/#error */
enum cni_code {
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO_FAILURE = 5,
	CNI_INVALID_CONFIGURATION = 7,
	CNI_TRY_AGAIN_LATER = 11,
	CNI_NOT_AVAILABLE = 50,
};

struct problem {
	enum cni_code code;
	const char *message;
	const char *consequence;
};

static const struct problem bad_environment = {
	CNI_INVALID_ENVIRONMENT,
	"an environment variable is not valid",
	"the agent was not asked",
};
static const struct problem bad_input = {
	CNI_INVALID_CONFIGURATION,
	"the network configuration is not valid",
	"the agent was not asked",
};
static const struct problem unread_input = {
	CNI_IO_FAILURE,
	"the network configuration cannot be read",
	"the agent was not asked",
};
static const struct problem not_reachable = {
	CNI_TRY_AGAIN_LATER,
	"the Isthmus agent is not reachable",
	"nothing was changed; try again when it runs",
};
static const struct problem not_available = {
	CNI_NOT_AVAILABLE,
	"the Isthmus agent is not reachable",
	"no pod can be added until it runs",
};
static const struct problem not_run = {
	CNI_IO_FAILURE,
	"the IPAM plugin cannot be run",
	"no address was taken",
};
static const struct problem broke_off = {
	CNI_TRY_AGAIN_LATER,
	"the Isthmus agent broke off",
	"it may have carried the request out; asking again is safe",
};

/* What a runtime may set (the environment of a plugin), and the header that carries it. */
static const struct variable {
	const char *name;
	const char *header;
} variables[] = {
	{"CNI_COMMAND", "cni-command"}, {"CNI_CONTAINERID", "cni-containerid"},
	{"CNI_NETNS", "cni-netns"},	{"CNI_IFNAME", "cni-ifname"},
	{"CNI_ARGS", "cni-args"},	{"CNI_PATH", "cni-path"},
};

struct buffer {
	char *bytes;
	size_t length;
	size_t limit;
};

static char input_bytes[INPUT_LIMIT + 1], header_bytes[HEADER_LIMIT], answer_bytes[ANSWER_LIMIT];
static char outcome_bytes[OUTCOME_LIMIT];
static struct buffer input = {input_bytes, 0, sizeof(input_bytes)};
static struct buffer header = {header_bytes, 0, sizeof(header_bytes)};
static struct buffer answer = {answer_bytes, 0, sizeof(answer_bytes) - 1};

/* The plugin that the agent had us run, and what came of it. */
static struct {
	char command[16];
	char type[TYPE_LIMIT];
	int status; /* -1: none was run */
	struct buffer outcome;
} ipam = {.status = -1, .outcome = {outcome_bytes, 0, sizeof(outcome_bytes)}};

static void print_text(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
}

static void ipam_undo(void);

/*
 * Prints a CNI error object and exits with 1. When the agent may have wired the pod with addresses
 * of another plugin, they stay taken until the DEL that follows.
 */
static void __attribute__((noreturn)) fail(const struct problem *problem, const char *subject,
					   const char *reason)
{
	if (problem != &broke_off)
		ipam_undo();
	alarm(0);
	printf("{\"cniVersion\":\"" CNI_VERSION "\",\"code\":%d,\"msg\":\"%s\",\"details\":\"",
	       problem->code, problem->message);
	print_text(subject);
	printf(": ");
	print_text(reason);
	printf("; %s\"}\n", problem->consequence);
	fflush(stdout);
	exit(1);
}

/* May be called at any moment: nothing is printed before the alarm is off. */
static void on_timeout(int signal_number)
{
	static const char text[] =
		"{\"cniVersion\":\"" CNI_VERSION "\",\"code\":11,"
		"\"msg\":\"the Isthmus agent does not answer\","
		"\"details\":\"no answer in time; the agent may still carry the request out\"}\n";

	(void)signal_number;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static void start_timeout(void)
{
	const char *text = environment("ISTHMUS_TIMEOUT", "");
	long seconds = strtol(text, NULL, 10);

	signal(SIGALRM, on_timeout);
	alarm(seconds > 0 && seconds <= 600 ? (unsigned int)seconds : DEFAULT_TIMEOUT);
}

/* A line end in a value would be a header of its own. */
static bool has_control_characters(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static void append(const char *name, const char *value, const char *format)
{
	size_t room = header.limit - header.length;
	int length = snprintf(header.bytes + header.length, room, format, name, value);

	if (length < 0 || (size_t)length >= room)
		fail(&bad_environment, name, "all CNI variables together may have 64 KiB");
	header.length += (size_t)length;
}

static void append_number(const char *name, size_t number, const char *format)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", number);
	append(name, text, format);
}

static void build_header(void)
{
	header.length = 0;
	append("POST", "/cni", "%s %s HTTP/1.0\r\nHost: isthmus\r\n");
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i].name);

		if (!value)
			continue;
		if (has_control_characters(value))
			fail(&bad_environment, variables[i].name,
			     "it has control characters in it");
		append(variables[i].header, value, "%s: %s\r\n");
	}
	if (ipam.status >= 0) {
		append_number("cni-ipam-status", (size_t)ipam.status, "%s: %s\r\n");
		append_number("cni-ipam-length", ipam.outcome.length, "%s: %s\r\n");
	}
	append("Content-Type", "application/json", "%s: %s\r\n");
	append_number("Content-Length", input.length + ipam.outcome.length, "%s: %s\r\n\r\n");
}

/* Reads up to the end or the limit; -errno on failure. */
static int read_all(int fd, struct buffer *buffer)
{
	while (buffer->length < buffer->limit) {
		ssize_t count =
			read(fd, buffer->bytes + buffer->length, buffer->limit - buffer->length);

		if (count == 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0)
			buffer->length += (size_t)count;
	}
	return 0;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t count = write(fd, bytes, length);

		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
	return 0;
}

static void read_input(void)
{
	int rc = read_all(STDIN_FILENO, &input);

	if (rc)
		fail(&unread_input, "stdin", strerror(-rc));
	if (!input.length)
		fail(&bad_input, "stdin", "it is empty");
	if (input.length > INPUT_LIMIT)
		fail(&bad_input, "stdin", "it is larger than 1 MiB");
}

static int connect_agent(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		fail(&bad_environment, "ISTHMUS_SOCKET", "it is longer than 107 bytes");
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail(strcmp(environment("CNI_COMMAND", ""), "STATUS") ? &not_reachable
								      : &not_available,
		     path, strerror(errno));
	return fd;
}

/* An agent that refuses early may have answered before it read everything: read it anyway. */
static void ask_agent(const char *path)
{
	int fd, rc;

	build_header();
	fd = connect_agent(path);
	rc = write_all(fd, header.bytes, header.length);
	if (!rc)
		rc = write_all(fd, input.bytes, input.length);
	if (!rc)
		rc = write_all(fd, ipam.outcome.bytes, ipam.outcome.length);
	answer.length = 0;
	if (!rc || rc == -EPIPE)
		rc = read_all(fd, &answer);
	close(fd);
	if (rc && !(rc == -ECONNRESET && answer.length))
		fail(&broke_off, path, strerror(-rc));
	answer.bytes[answer.length] = '\0';
}

/* Whether the body is as long as the agent said, when it said so. */
static bool is_complete(const char *head, size_t body_length)
{
	static const char name[] = "\r\ncontent-length:";
	const char *line = strcasestr(head, name);

	return !line || strtoull(line + sizeof(name) - 1, NULL, 10) == body_length;
}

struct answer_parts {
	unsigned int status;
	char *head;
	char *body;
	size_t length; /* of the body */
};

static struct answer_parts take_apart(const char *path)
{
	struct answer_parts parts = {.head = answer.bytes,
				     .body = strstr(answer.bytes, "\r\n\r\n")};

	if (!parts.body || sscanf(answer.bytes, "HTTP/1.%*u %3u", &parts.status) != 1)
		fail(&broke_off, path, "there is no whole answer");
	*parts.body = '\0';
	parts.body += 4;
	parts.length = answer.length - (size_t)(parts.body - answer.bytes);
	if (!is_complete(parts.head, parts.length) || (parts.status >= 300 && !parts.length))
		fail(&broke_off, path, "its answer is not complete");
	return parts;
}

/* The first directory of CNI_PATH that has such a program. */
static bool ipam_find(char *path, size_t size)
{
	const char *directory = environment("CNI_PATH", "");

	while (*directory) {
		int length = (int)strcspn(directory, ":");

		if (length &&
		    snprintf(path, size, "%.*s/%s", length, directory, ipam.type) < (int)size &&
		    !access(path, X_OK))
			return true;
		directory += length + (directory[length] == ':');
	}
	return false;
}

static void __attribute__((noreturn)) ipam_exec(const char *path, const char *command, int from,
						int to)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	if (setenv("CNI_COMMAND", command, 1) || dup2(from, STDIN_FILENO) < 0 ||
	    dup2(to, STDOUT_FILENO) < 0)
		_exit(127);
	execl(path, path, (char *)NULL);
	_exit(127);
}

/* The configuration as a file: who reads it need not be fast. Negative on failure. */
static int input_file(void)
{
	int fd = memfd_create("cni", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write_all(fd, input.bytes, input.length) || lseek(fd, 0, SEEK_SET) < 0)
		return -EIO;
	return fd;
}

/* Runs it to its end and keeps its output; -errno when it could not be run. */
static int ipam_run(const char *path, const char *command)
{
	int from = input_file(), ends[2], status = 0, rc;
	pid_t child;

	if (from < 0)
		return from;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		ipam_exec(path, command, from, ends[1]);
	close(ends[1]);
	close(from);
	ipam.outcome.length = 0;
	rc = read_all(ends[0], &ipam.outcome);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	ipam.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return rc;
}

/* An ADD that ends in an error leaves no address taken. */
static void ipam_undo(void)
{
	char path[4096];

	if (ipam.status < 0 || strcmp(ipam.command, "ADD"))
		return;
	ipam.status = -1;
	if (ipam_find(path, sizeof(path)))
		ipam_run(path, "DEL");
}

/* "cni-delegate: ADD host-local"; false when it is not that, or the name would be a path. */
static bool delegate_parse(const char *head)
{
	static const char name[] = "\r\ncni-delegate:";
	const char *line = strcasestr(head, name);
	int end = 0;

	if (!line)
		return false;
	line += sizeof(name) - 1;
	if (sscanf(line, " %15s %127[A-Za-z0-9_.-]%n", ipam.command, ipam.type, &end) != 2)
		return false;
	return ipam.type[0] != '.' && (line[end] == '\r' || line[end] == '\0');
}

static void delegate(const struct answer_parts *parts, const char *path)
{
	char program[4096];
	int rc;

	if (ipam.status >= 0 || !delegate_parse(parts->head))
		fail(&broke_off, path, "it does not say which plugin is to be run");
	if (!ipam_find(program, sizeof(program)))
		fail(&not_run, ipam.type, "no directory of CNI_PATH has it");
	rc = ipam_run(program, ipam.command);
	if (rc)
		fail(&not_run, program, strerror(-rc));
}

static int print_answer(const struct answer_parts *parts)
{
	if (parts->status != 200)
		ipam_undo();
	alarm(0);
	if (write_all(STDOUT_FILENO, parts->body, parts->length))
		return 1;
	return parts->status == 200 ? 0 : 1;
}

int main(void)
{
	const char *path = environment("ISTHMUS_SOCKET", DEFAULT_SOCKET);
	const char *command = environment("CNI_COMMAND", "");
	struct answer_parts parts;

	if (!strcmp(command, "VERSION")) {
		puts("{\"cniVersion\":\"" CNI_VERSION "\",\"supportedVersions\":"
		     "[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
		return 0;
	}
	if (!*command)
		fail(&bad_environment, "CNI_COMMAND", "it is missing; it names the operation");
	signal(SIGPIPE, SIG_IGN);
	start_timeout();
	read_input();
	ask_agent(path);
	parts = take_apart(path);
	if (parts.status == 202) {
		delegate(&parts, path);
		ask_agent(path);
		parts = take_apart(path);
	}
	if (parts.status == 202)
		fail(&broke_off, path, "it asks for one plugin after the other");
	return print_answer(&parts);
}
