/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes pass, on one connection or on several at once. */
#ifndef PROBE_BULK_H
#define PROBE_BULK_H

#include "measurement.h"

/* Until the time is over or something fails. */
void bulk_measure(struct bench *bench);

#endif
