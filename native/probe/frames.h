/* SPDX-License-Identifier: Apache-2.0 */
/* Frames by hand: what is read from stdin is sent, what arrives is printed. */
#ifndef PROBE_FRAMES_H
#define PROBE_FRAMES_H

#include "options.h"

/*
 * `frames DEVICE`: one frame a line, in hexadecimal, both ways. The first line of output is
 * "ready". Ends with stdin; returns the exit status.
 */
int frames_run(const struct options *options);

#endif
