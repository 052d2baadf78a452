/* SPDX-License-Identifier: Apache-2.0 */
/* TCP counters of the whole network namespace: pairs of lines, names and then values. */
#include "counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LIMIT 8192

/* The value under the name; both lines have one word a column. */
static uint64_t column(char *names, char *values, const char *name)
{
	char *next_name, *next_value;
	const char *a = strtok_r(names, " \n", &next_name);
	const char *b = strtok_r(values, " \n", &next_value);

	while (a && b) {
		if (!strcmp(a, name))
			return strtoull(b, NULL, 10);
		a = strtok_r(NULL, " \n", &next_name);
		b = strtok_r(NULL, " \n", &next_value);
	}
	return 0;
}

static uint64_t read_counter(const char *path, const char *group, const char *name)
{
	static char names[LINE_LIMIT], values[LINE_LIMIT];
	FILE *file = fopen(path, "re");
	uint64_t value = 0;

	if (!file)
		return 0;
	while (fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		if (strncmp(names, group, strlen(group)))
			continue;
		value = column(names, values, name);
		break;
	}
	fclose(file);
	return value;
}

void counters_read(struct counters *counters)
{
	counters->retransmits = read_counter("/proc/self/net/snmp", "Tcp:", "RetransSegs");
	counters->resets_sent = read_counter("/proc/self/net/snmp", "Tcp:", "OutRsts");
	counters->connections_reset = read_counter("/proc/self/net/snmp", "Tcp:", "EstabResets");
	counters->syn_retransmits =
		read_counter("/proc/self/net/netstat", "TcpExt:", "TCPSynRetrans");
}
