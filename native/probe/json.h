/* SPDX-License-Identifier: Apache-2.0 */
/* One line of JSON on stdout. Texts are names and addresses: nothing in them needs an escape. */
#ifndef PROBE_JSON_H
#define PROBE_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* The first field of every report. */
void json_begin(bool ok);
/* Left out when the text is empty. */
void json_text(const char *name, const char *text);
void json_count(const char *name, uint64_t value);
void json_decimal(const char *name, double value);
/* Name of a positive errno; left out when it is 0. */
void json_error(int error);
void json_end(void);

#endif
