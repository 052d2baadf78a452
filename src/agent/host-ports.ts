// Keeps the NAT ports from the host's own sockets: the kernel does not choose them for a connection.
import type { PortRange } from '../model/network.js';
import type { Netlink } from '../net/native.js';

const RESERVED = 'net.ipv4.ip_local_reserved_ports';

/** Adds the range to what is reserved already, which stays; both families share this setting. */
export function reserveNatPorts(node: Netlink, { first, last }: PortRange): void {
  const wanted = `${first}-${last}`;
  const reserved = node.readSysctl(RESERVED).trim();
  if (covers(reserved, first, last)) return;
  node.writeSysctl(RESERVED, reserved === '' ? wanted : `${reserved},${wanted}`);
}

function covers(list: string, first: number, last: number): boolean {
  return list.split(',').some((item) => {
    const [from, to = from] = item.split('-').map(Number);
    return from !== undefined && to !== undefined && from <= first && last <= to;
  });
}
