/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The CRC by itself, for messages of any length; only tests load it. */
#include "lib/kernel.h"
#include "lib/crc.h"

struct crc_request {
	__u32 difference; /* of the first four bytes */
	__u32 bytes; /* of the message */
	__u32 result; /* the difference of its CRCs */
};

SEC("syscall")
int shift_crc(struct crc_request *request)
{
	request->result = crc_shift(request->difference, request->bytes);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
