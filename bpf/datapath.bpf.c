/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The whole datapath in one object. This file is its table of contents, in the order to read it. */
#include "lib/kernel.h"

/* What everything speaks of. */
#include "lib/types.h"
#include "lib/maps.h"
#include "lib/config.h"
#include "lib/names.h"

/* A packet comes in ... */
#include "lib/connection.h"
#include "lib/crc.h"
#include "lib/sctp.h"
#include "lib/verdict.h"
#include "lib/packet.h"
#include "lib/events.h"
#include "lib/endpoint.h"
#include "lib/detour.h"
#include "lib/fragment.h"

/* ... is changed or answered ... */
#include "lib/checksum.h"
#include "lib/rewrite.h"
#include "lib/answer.h"
#include "lib/refusal.h"
#include "lib/neighbour.h"

/* ... is decided once and remembered ... */
#include "lib/forward.h"
#include "lib/way.h"
#include "lib/inside.h"
#include "lib/flow.h"
#include "lib/admission.h"
#include "lib/removal.h"
#include "lib/continuity.h"
#include "lib/tracking.h"
#include "lib/tunnel.h"
#include "lib/established.h"
#include "lib/mapping.h"
#include "lib/port.h"
#include "lib/shortage.h"
#include "lib/nat.h"
#include "lib/mapped.h"
#include "lib/affinity.h"
#include "lib/maglev.h"
#include "lib/direct.h"
#include "lib/service.h"
#include "lib/socket.h"
#include "lib/icmp_error.h"
#include "lib/host.h"
#include "lib/direct_error.h"
#include "lib/frame.h"
#include "lib/sweep.h"

/* ... at the hooks, in the order a pod's packet meets them; a socket meets its own before. */
#include "hooks/from_container.h"
#include "hooks/from_chained.h"
#include "hooks/from_netdev.h"
#include "hooks/from_detour.h"
#include "hooks/from_host.h"
#include "hooks/xdp.h"
#include "hooks/socket.h"
#include "hooks/socket_list.h"
#include "hooks/bind.h"
#include "hooks/sweep.h"

char _license[] SEC("license") = "Dual BSD/GPL";
