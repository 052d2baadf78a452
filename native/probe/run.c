/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run PROGRAM INPUT`: starts the program once for each line of standard input, whose fields
 * NAME=VALUE, separated by tabs, are added to the environment; all run at the same time. What they
 * print goes to standard error.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"

#define RUNS_MAX   256
#define FIELDS_MAX 512

extern char **environ;

struct run {
	char *line;
	pid_t pid;
	int status;
	int64_t started;
	int64_t nanoseconds;
};

struct runs {
	struct run list[RUNS_MAX];
	size_t count;
	size_t ended;
};

static void fail(const char *what, int error)
{
	fprintf(stderr, "isthmus-probe: run: %s: %s\n", what, strerror(error));
	exit(2);
}

static void read_lines(struct runs *runs)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while (runs->count < RUNS_MAX && (length = getline(&line, &room, stdin)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		runs->list[runs->count].line = strdup(line);
		if (!runs->list[runs->count++].line)
			fail("memory", ENOMEM);
	}
	free(line);
}

/* The fields of a line behind what this process has itself. The line is cut up. */
static void compose_environment(char **fields, char *line)
{
	size_t count = 0;
	char *rest = line;
	char *field;

	for (char **own = environ; *own && count < FIELDS_MAX - 1; own++)
		fields[count++] = *own;
	while ((field = strsep(&rest, "\t")) && count < FIELDS_MAX - 1)
		fields[count++] = field;
	fields[count] = NULL;
}

static void start(struct run *run, const char *program, const char *input)
{
	static char *fields[FIELDS_MAX];
	char *const argv[] = {(char *)program, NULL};
	posix_spawn_file_actions_t actions;
	int rc;

	compose_environment(fields, run->line);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	run->started = clock_ns();
	rc = posix_spawn(&run->pid, program, &actions, NULL, argv, fields);
	posix_spawn_file_actions_destroy(&actions);
	if (rc)
		fail(program, rc);
}

/* Takes the end of whoever has ended; waits for one when there is none. */
static void collect(struct runs *runs, int flags)
{
	int status;
	pid_t pid;

	while (runs->ended < runs->count && (pid = waitpid(-1, &status, flags)) > 0) {
		for (size_t i = 0; i < runs->count; i++) {
			struct run *run = &runs->list[i];

			if (run->pid != pid)
				continue;
			run->nanoseconds = clock_ns() - run->started;
			run->status = status;
			runs->ended++;
		}
	}
}

static void print(const struct run *run)
{
	bool exited = WIFEXITED(run->status);

	json_begin(exited && !WEXITSTATUS(run->status));
	json_count("status", (uint64_t)(exited ? WEXITSTATUS(run->status) : 128));
	json_count("nanoseconds", (uint64_t)run->nanoseconds);
	json_end();
}

int run_run(const struct options *options)
{
	static struct runs runs;

	if (options->word_count != 3)
		options_usage();
	read_lines(&runs);
	for (size_t i = 0; i < runs.count; i++) {
		start(&runs.list[i], options->words[1], options->words[2]);
		collect(&runs, WNOHANG);
	}
	collect(&runs, 0);
	for (size_t i = 0; i < runs.count; i++)
		print(&runs.list[i]);
	return 0;
}
