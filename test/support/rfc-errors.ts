// ICMP errors by hand, about packets that were heard on the wire or in a pod.
import type { Heard } from './frames.js';
import { ip, type Packet } from './packet.js';
import type { Family, RfcWorld } from './rfc-world.js';
import type { At } from './sockets.js';

export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** MTU or pointer. */
  readonly rest?: number;
}

/** Type and code of one meaning, by family. */
export const ERRORS = {
  hostUnreachable: { 4: { type: 3, code: 1 }, 6: { type: 1, code: 3 } },
  portUnreachable: { 4: { type: 3, code: 3 }, 6: { type: 1, code: 4 } },
  prohibited: { 4: { type: 3, code: 13 }, 6: { type: 1, code: 1 } },
  timeExceeded: { 4: { type: 11, code: 0 }, 6: { type: 3, code: 0 } },
  tooBig: { 4: { type: 3, code: 4, rest: 1280 }, 6: { type: 2, code: 0, rest: 1280 } },
  parameterProblem: { 4: { type: 12, code: 0 }, 6: { type: 4, code: 0 } },
} as const satisfies Readonly<Record<string, Readonly<Record<Family, IcmpError>>>>;

/** Everything of ICMP that could be taken for the end of a mapping. */
export function allErrors(family: Family): IcmpError[] {
  const codes = (type: number, count: number) => Array.from({ length: count }, (_, code) => ({ type, code, rest: 0 }));
  const messages =
    family === 4
      ? [...codes(3, 14), ...codes(11, 2), ...codes(12, 3), ...codes(4, 1), ...codes(5, 4)]
      : [...codes(1, 8), ...codes(2, 1), ...codes(3, 2), ...codes(4, 3), ...codes(137, 1)];
  return messages.map((one) => (isTooBig(one, family) ? { ...one, rest: 1280 } : one));
}

function isTooBig({ type, code }: IcmpError, family: Family): boolean {
  return family === 4 ? type === 3 && code === 4 : type === 2;
}

/** The IP packet of a frame that was heard. */
export function packetOf({ bytes }: Heard): Buffer {
  return bytes.subarray(14);
}

/** An error inside an IP packet that `under` has begun. */
export function icmpError(under: Packet, family: Family, { type, code, rest = 0 }: IcmpError): Packet {
  return family === 4 ? under.icmp4({ type, code, rest }) : under.icmp6({ type, code, rest });
}

export interface Told {
  readonly family: Family;
  /** Who tells; the router when absent. */
  readonly from?: string;
  readonly error: IcmpError;
  readonly quoted: Buffer;
}

/** Sends an error from outside to the node's address. */
export function tellFromOutside(world: RfcWorld, { family, from, error, quoted }: Told): void {
  const source = from ?? world.routerAddress(family);
  const outer = world.fromOutside().ip({ source, destination: world.nodeAddress(family) });
  world.wire.send(icmpError(outer, family, error).payload(quoted));
}

/** A datagram as it looked to its sender. */
export function datagram(from: At, to: At, payload: string): Packet {
  return ip({ source: from.address, destination: to.address })
    .udp({ source: from.port, destination: to.port })
    .payload(payload);
}
