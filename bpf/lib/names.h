/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names for user space: BTF keeps only those enums that something refers to. */
#ifndef ISTHMUS_NAMES_H
#define ISTHMUS_NAMES_H

#include "types.h"

/* libbpf makes no map of a section with this name, so this takes no memory in the kernel. */
const union {
	enum direction direction;
	enum drop_reason drop_reason;
	enum endpoint_flags endpoint_flags;
	enum route_type route_type;
	enum flow_flags flow_flags;
	enum mapping_side mapping_side;
	enum filtering filtering;
	enum endpoint_limits endpoint_limits;
	enum shortage_kind shortage_kind;
	enum shortage_limits shortage_limits;
	enum cut_size cut_size;
	enum scope scope;
	enum service_flags service_flags;
	enum maglev_limits maglev_limits;
	enum sweep_result sweep_result;
	enum walker walker;
} _names SEC(".names");

#endif
