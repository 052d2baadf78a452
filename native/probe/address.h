/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses from and to text; an IPv4 address behind an IPv6 socket prints as IPv4. */
#ifndef PROBE_ADDRESS_H
#define PROBE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define ADDRESS_TEXT 80

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* Parses `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. False when it is none of them. */
bool address_parse(union address *address, const char *text, uint16_t port);

/* Turns an IPv4 address into the same address of an IPv6 socket. */
void address_map(union address *address);

socklen_t address_length(const union address *address);

/* Writes `192.0.2.1:80` or `[2001:db8::1]:80`. */
void address_format(char text[ADDRESS_TEXT], const union address *address);

/* Writes `192.0.2.1 80`, the line that `who` answers, without its line end. */
void address_format_words(char text[ADDRESS_TEXT], const union address *address);

#endif
