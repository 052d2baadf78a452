/* SPDX-License-Identifier: Apache-2.0 */
/* `run`: how long a program takes, started many times at once. */
#ifndef PROBE_RUN_H
#define PROBE_RUN_H

#include "options.h"

int run_run(const struct options *options);

#endif
