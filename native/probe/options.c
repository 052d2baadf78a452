/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: words and options in any order. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum option_id {
	OPTION_NETNS = 1,
	OPTION_BIND,
	OPTION_PORT,
	OPTION_SOURCE_PORT,
	OPTION_TIMEOUT,
	OPTION_SECONDS,
	OPTION_RATE,
	OPTION_START,
	OPTION_BYTES,
	OPTION_SIZE,
	OPTION_COUNT,
	OPTION_FLOWS,
	OPTION_FRAGMENT,
	OPTION_ORDER,
	OPTION_CPU,
	OPTION_CC,
	OPTION_FIFO,
	OPTION_SERVER_CLOSES,
	OPTION_DIE_WITH_PARENT,
};

static const struct option table[] = {
	{"netns", required_argument, NULL, OPTION_NETNS},
	{"bind", required_argument, NULL, OPTION_BIND},
	{"address", required_argument, NULL, OPTION_BIND},
	{"port", required_argument, NULL, OPTION_PORT},
	{"source-port", required_argument, NULL, OPTION_SOURCE_PORT},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"seconds", required_argument, NULL, OPTION_SECONDS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"start", required_argument, NULL, OPTION_START},
	{"bytes", required_argument, NULL, OPTION_BYTES},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"count", required_argument, NULL, OPTION_COUNT},
	{"flows", required_argument, NULL, OPTION_FLOWS},
	{"fragment", required_argument, NULL, OPTION_FRAGMENT},
	{"order", required_argument, NULL, OPTION_ORDER},
	{"cpu", required_argument, NULL, OPTION_CPU},
	{"cc", required_argument, NULL, OPTION_CC},
	{"fifo", no_argument, NULL, OPTION_FIFO},
	{"server-closes", no_argument, NULL, OPTION_SERVER_CLOSES},
	{"die-with-parent", no_argument, NULL, OPTION_DIE_WITH_PARENT},
	{0},
};

static const char usage[] =
	"usage: isthmus-probe serve|bench-server --port P [--address A]\n"
	"       isthmus-probe tcp ADDR PORT who | sink N | source N\n"
	"       isthmus-probe tcp ADDR PORT hold --seconds S --rate N [--size BYTES]\n"
	"       isthmus-probe tcp ADDR PORT transfer --bytes N\n"
	"       isthmus-probe tcp ADDR PORT fill --count N --seconds S\n"
	"       isthmus-probe udp ADDR PORT who | echo SIZE\n"
	"       isthmus-probe udp ADDR PORT stream --rate HZ --seconds S [--size BYTES]\n"
	"       isthmus-probe bench rr|crr|udp_rr|stream ADDR PORT --seconds S [--server-closes]\n"
	"       isthmus-probe bench rr|stream ADDR PORT --seconds S --flows N\n"
	"       isthmus-probe bench udp_first ADDR PORT --seconds S --source-port P --count N\n"
	"       isthmus-probe bench rr_rate|crr_rate|udp_rate ADDR PORT --rate HZ --seconds S\n"
	"       isthmus-probe fragments udp|icmp ADDR PORT --order ORDER --size BYTES --count N\n"
	"                     --rate HZ [--fragment BYTES]\n"
	"       isthmus-probe reorder --bind ADDR --port P --order ORDER [--fragment BYTES]\n"
	"       isthmus-probe frames DEVICE\n"
	"       isthmus-probe run PROGRAM INPUT < lines of NAME=VALUE, separated by tabs\n"
	"ORDER: kept swapped reversed shuffled interleaved duplicated overlapping headless\n"
	"       incomplete bogus\n"
	"bench: --start NS of the monotonic clock, to begin together with others\n"
	"everywhere: --netns PATH --bind ADDR --source-port P --timeout MS --cc NAME\n"
	"            --cpu N --fifo --die-with-parent\n";

void options_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

uint64_t options_number(const char *name, const char *text, uint64_t limit)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && !errno && value <= limit)
		return value;
	fprintf(stderr, "isthmus-probe: %s: '%s' is not a number from 0 to %llu\n", name, text,
		(unsigned long long)limit);
	exit(2);
}

static double positive(const char *name, const char *text, double limit)
{
	char *end;
	double value = strtod(text, &end);

	if (end != text && *end == '\0' && value > 0 && value <= limit)
		return value;
	fprintf(stderr, "isthmus-probe: %s: '%s' is not a number above 0 and up to %.0f\n", name,
		text, limit);
	exit(2);
}

static void set_flag(struct options *options, int id)
{
	switch (id) {
	case OPTION_FIFO:
		options->fifo = true;
		break;
	case OPTION_SERVER_CLOSES:
		options->server_closes = true;
		break;
	case OPTION_DIE_WITH_PARENT:
		options->die_with_parent = true;
		break;
	default:
		options_usage();
	}
}

static void set_number(struct options *options, int id, const char *text)
{
	switch (id) {
	case OPTION_PORT:
		options->port = (uint16_t)options_number("--port", text, UINT16_MAX);
		break;
	case OPTION_SOURCE_PORT:
		options->source_port = (uint16_t)options_number("--source-port", text, UINT16_MAX);
		break;
	case OPTION_TIMEOUT:
		options->timeout_ms = (int64_t)options_number("--timeout", text, INT32_MAX);
		break;
	case OPTION_BYTES:
		options->bytes = options_number("--bytes", text, INT64_MAX);
		break;
	case OPTION_SIZE:
		options->size = options_number("--size", text, UINT16_MAX);
		break;
	case OPTION_COUNT:
		options->count = options_number("--count", text, INT32_MAX);
		break;
	case OPTION_FLOWS:
		options->flows = options_number("--flows", text, FLOWS_MAX);
		break;
	case OPTION_FRAGMENT:
		options->fragment = options_number("--fragment", text, UINT16_MAX);
		break;
	case OPTION_START:
		options->start = (int64_t)options_number("--start", text, INT64_MAX);
		break;
	case OPTION_CPU:
		options->cpu = (int)options_number("--cpu", text, 1023);
		break;
	default:
		set_flag(options, id);
	}
}

static void set_option(struct options *options, int id, const char *text)
{
	switch (id) {
	case OPTION_NETNS:
		options->netns = text;
		break;
	case OPTION_BIND:
		options->bind = text;
		break;
	case OPTION_ORDER:
		options->order = text;
		break;
	case OPTION_CC:
		options->congestion = text;
		break;
	case OPTION_SECONDS:
		options->seconds = positive("--seconds", text, 1e9);
		break;
	case OPTION_RATE:
		options->rate = positive("--rate", text, 1e6);
		break;
	default:
		set_number(options, id, text);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	int id;

	*options = (struct options){
		.timeout_ms = 3000,
		.seconds = 10,
		.rate = 10,
		.bytes = 1 << 20,
		.size = 64,
		.count = 1,
		.flows = 1,
		.fragment = 1400,
		.order = "kept",
		.cpu = -1,
	};
	while ((id = getopt_long(argc, argv, "", table, NULL)) != -1)
		set_option(options, id, optarg);
	options->words = argv + optind;
	options->word_count = argc - optind;
}
