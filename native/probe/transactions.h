/* SPDX-License-Identifier: Apache-2.0 */
/* How long transactions take: in a row, many at once, at a rate, or each of a new flow. */
#ifndef PROBE_TRANSACTIONS_H
#define PROBE_TRANSACTIONS_H

#include <stdbool.h>

#include "measurement.h"

/* False for a name that is no test of transactions. */
bool transactions_known(const char *name);

/* Until the time is over, as the test's name says. */
void transactions_measure(struct bench *bench);

#endif
