/* SPDX-License-Identifier: Apache-2.0 */
/* isthmus-probe: the traffic end points of labs, tests and benchmarks. */
#include <string.h>

#include "bench.h"
#include "client.h"
#include "fragments.h"
#include "frames.h"
#include "options.h"
#include "process.h"
#include "run.h"
#include "server.h"

int main(int argc, char **argv)
{
	struct options options;
	const char *command;

	options_parse(&options, argc, argv);
	if (!options.word_count)
		options_usage();
	process_prepare(&options);
	command = options.words[0];
	if (!strcmp(command, "serve") || !strcmp(command, "bench-server"))
		return server_run(&options);
	if (!strcmp(command, "tcp") || !strcmp(command, "udp"))
		return client_run(&options);
	if (!strcmp(command, "bench"))
		return bench_run(&options);
	if (!strcmp(command, "fragments"))
		return fragments_run(&options);
	if (!strcmp(command, "reorder"))
		return reorder_run(&options);
	if (!strcmp(command, "frames"))
		return frames_run(&options);
	if (!strcmp(command, "run"))
		return run_run(&options);
	options_usage();
}
