/* SPDX-License-Identifier: Apache-2.0 */
/* What the process is: its namespace, its processor, and when it must stop. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"

static volatile sig_atomic_t stopped;

static void fail(const char *what, const char *subject)
{
	fprintf(stderr, "isthmus-probe: cannot %s %s: %s\n", what, subject, strerror(errno));
	exit(2);
}

static void enter_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("open", path);
	if (setns(fd, CLONE_NEWNET))
		fail("enter", path);
	close(fd);
}

static void pin_to_cpu(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("run on", "that CPU (--cpu)");
}

void process_prepare(const struct options *options)
{
	struct sched_param priority = {.sched_priority = 1};

	signal(SIGPIPE, SIG_IGN);
	if (options->die_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == 1) /* it died before we asked */
			exit(2);
	}
	if (options->netns)
		enter_namespace(options->netns);
	if (options->cpu >= 0)
		pin_to_cpu(options->cpu);
	if (options->fifo && sched_setscheduler(0, SCHED_FIFO, &priority))
		fail("get", "SCHED_FIFO (--fifo)");
}

static void on_stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Both stay blocked but inside ppoll, so that none is lost between the check and the wait. */
void process_catch_stop(void)
{
	struct sigaction action = {.sa_handler = on_stop};
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

bool process_stopped(void)
{
	return stopped;
}

void process_ignore_stop(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	stopped = 0;
}

int process_poll(struct pollfd *fds, nfds_t count, int64_t until)
{
	sigset_t none;
	int ready;

	sigemptyset(&none);
	while (!stopped) {
		int64_t left = until - clock_ns();
		struct timespec wait = {left / NS_PER_SECOND, left % NS_PER_SECOND};

		if (until >= 0 && left < 0)
			wait = (struct timespec){0};
		ready = ppoll(fds, count, until < 0 ? NULL : &wait, &none);
		if (ready > 0 || (!ready && left <= 0))
			return ready;
		if (ready < 0 && errno != EINTR)
			fail("wait for", "sockets");
	}
	return 0;
}
