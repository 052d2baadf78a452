// The programs on the node's cgroup and where the kernel calls them: enum bpf_attach_type, by program.

/** Keeps processes of the node from binding NAT ports. */
export const BIND_HOOKS = { bind4: 8, bind6: 9 } as const;

/** Gives sockets that name a frontend its backend, and shows them the frontend again. */
export const SOCKET_HOOKS = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
} as const;

/** Writes the cookie of each UDP socket whose backend serves no more. */
export const STALE_LISTER = 'list_stale';

/** All that is loaded for sockets. */
export const SOCKET_PROGRAMS: readonly string[] = [...Object.keys(SOCKET_HOOKS), STALE_LISTER];
