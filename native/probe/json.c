/* SPDX-License-Identifier: Apache-2.0 */
/* One line of JSON on stdout. */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void json_begin(bool ok)
{
	printf("{\"ok\":%s", ok ? "true" : "false");
}

void json_text(const char *name, const char *text)
{
	if (*text)
		printf(",\"%s\":\"%s\"", name, text);
}

void json_count(const char *name, uint64_t value)
{
	printf(",\"%s\":%" PRIu64, name, value);
}

void json_decimal(const char *name, double value)
{
	printf(",\"%s\":%.3f", name, value);
}

void json_error(int error)
{
	const char *name = strerrorname_np(error);

	if (error)
		json_text("error", name ? name : "EUNKNOWN");
}

void json_end(void)
{
	puts("}");
	fflush(stdout);
}
