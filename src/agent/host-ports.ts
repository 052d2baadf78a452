// Keeps the NAT ports from the host's own sockets: the kernel does not choose them for a connection.
import type { PortRange } from '../model/network.js';
import type { Netlink } from '../net/native.js';
import { type ReadOnlySetting, writeSetting } from './node-setup.js';

const RESERVED = 'net.ipv4.ip_local_reserved_ports';

/** Adds the range to what is reserved already, which stays; both families share this setting. Returns what it may not change. */
export function reserveNatPorts(node: Netlink, { first, last }: PortRange): ReadOnlySetting[] {
  const wanted = `${first}-${last}`;
  const reserved = node.readSysctl(RESERVED).trim();
  if (covers(reserved, first, last)) return [];
  return writeSetting(node, RESERVED, reserved === '' ? wanted : `${reserved},${wanted}`);
}

/** Whether the range is reserved by itself: where the kernel has joined it with another one, it is not ours alone. */
export function reservesNatPorts(node: Netlink, { first, last }: PortRange): boolean {
  return node.readSysctl(RESERVED).trim().split(',').includes(`${first}-${last}`);
}

/** Gives the range back; what else is reserved stays. */
export function releaseNatPorts(node: Netlink, { first, last }: PortRange): void {
  const ranges = node.readSysctl(RESERVED).trim().split(',');
  const kept = ranges.filter((range) => range !== `${first}-${last}`);
  // A write of no bytes is none.
  node.writeSysctl(RESERVED, `${kept.join(',')}\n`);
}

function covers(list: string, first: number, last: number): boolean {
  return list.split(',').some((item) => {
    const [from, to = from] = item.split('-').map(Number);
    return from !== undefined && to !== undefined && from <= first && last <= to;
  });
}
