// What hosts of one link say about addresses: ARP, and bodies of neighbour discovery.
import { Buffer } from 'node:buffer';
import type { Packet } from './packet.js';
import { macBytes, wireAddress } from './packet-layer.js';

export interface Arp {
  readonly operation: number;
  readonly sender: readonly [mac: string, address: string];
  readonly target: readonly [mac: string, address: string];
}

export function arp(frame: Packet, { operation, sender, target }: Arp): Packet {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  const pair = ([mac, address]: readonly [string, string]) => [macBytes(mac), wireAddress(address)];
  return frame.payload(Buffer.concat([head, ...pair(sender), ...pair(target)]));
}

/** The body of a solicitation or advertisement: the target, and the link-layer address of who speaks. */
export const about = (target: string, option: number, mac: string) =>
  Buffer.concat([wireAddress(target), Buffer.from([option, 1]), macBytes(mac)]);
