// What a node says about packets that it refuses: ICMP errors (RFC 792, RFC 1812, RFC 4443) and resets (RFC 9293).

import { formatAddress } from '../../../src/model/address.js';
import { ANSWER } from '../answers.js';
import { eth, type Packet } from '../packet.js';
import { SCTP } from '../sctp-layer.js';
import type { Address } from './tuple.js';
import { isLater, TCP, type View } from './view.js';

/** Of the packet that an error is about (limit). */
const QUOTE_BYTES = 128;

export interface IcmpError {
  readonly kind: keyof typeof ANSWER;
  readonly from: Address;
  readonly mtu?: number;
}

/** The error that goes back to the sender; undefined when nothing may be said (RFC 1122 section 3.2.2, RFC 4443 2.4). */
export function icmpError(frame: Buffer, view: View, { kind, from, mtu = 0 }: IcmpError): Buffer | undefined {
  if (view.icmpKind === 'error' || isLater(view) || isNobody(view)) return undefined;
  const [four, six] = ANSWER[kind];
  const quote = view.bytes.subarray(0, QUOTE_BYTES);
  const ends = { source: textOf(from), destination: textOf(view.tuple.source) };
  if (view.six) {
    return back(frame).ipv6(ends).icmp6({ type: six[0], code: six[1], rest: mtu }).payload(quote).bytes();
  }
  const outer = back(frame).ipv4({ ...ends, id: 0 });
  return outer.icmp4({ type: four[0], code: four[1], rest: mtu }).payload(quote).bytes();
}

/** The ABORT that refuses a packet of SCTP (RFC 9260 section 8.4); undefined for one that nobody is told about. */
function abort(frame: Buffer, view: View): Buffer | undefined {
  const { tcp, bytes, transport, tuple, fragment } = view;
  if (tcp === undefined || fragment !== undefined || tcp.flags === 0 || tcp.flags & TCP.rst) return undefined;
  const opens = (tcp.flags & (TCP.syn | TCP.ack)) === TCP.syn;
  const at = transport + (opens ? 16 : 4);
  if (at + 4 > bytes.length) return undefined;
  const ends = { source: textOf(tuple.destination), destination: textOf(tuple.source) };
  const outer = view.six ? back(frame).ipv6(ends) : back(frame).ipv4({ ...ends, id: 0 });
  const ports = { source: tuple.destinationPort, destination: tuple.sourcePort };
  return outer
    .sctp({ ...ports, tag: bytes.readUInt32BE(at), chunks: [{ type: 'ABORT', flags: opens ? 0 : 1 }] })
    .bytes();
}

/** The reset that refuses a segment; undefined when it is one itself, or no whole segment. */
export function reset(frame: Buffer, view: View): Buffer | undefined {
  if (view.tuple.protocol === SCTP) return abort(frame, view);
  const { tcp, bytes, transport, tuple, fragment } = view;
  if (tcp === undefined || fragment !== undefined || tcp.flags & TCP.rst) return undefined;
  const acknowledged = (tcp.flags & TCP.ack) !== 0;
  const seen = bytes.length - transport - tcp.bytes + (tcp.flags & TCP.syn ? 1 : 0) + (tcp.flags & TCP.fin ? 1 : 0);
  const numbers = acknowledged
    ? { flags: 'R', seq: bytes.readUInt32BE(transport + 8) }
    : { flags: 'RA', seq: 0, ack: (bytes.readUInt32BE(transport + 4) + seen) >>> 0 };
  const ends = { source: textOf(tuple.destination), destination: textOf(tuple.source) };
  const outer = view.six ? back(frame).ipv6(ends) : back(frame).ipv4({ ...ends, id: 0 });
  const ports = { source: tuple.destinationPort, destination: tuple.sourcePort, window: 0 };
  return outer.tcp({ ...ports, ...numbers }).bytes();
}

/** Multicast, loopback, unspecified, and IPv6 without an interface identifier: no single sender. */
function isNobody({ six, tuple: { source } }: View): boolean {
  if (six) return source.startsWith('ff') || source.endsWith('0000000000000000');
  const first = Number.parseInt(source.slice(24, 26), 16);
  return first === 0 || first === 127 || first >= 224;
}

/** To where the frame came from. */
function back(frame: Buffer): Packet {
  return eth({ source: macText(frame, 0), destination: macText(frame, 6) });
}

export function macText(frame: Buffer, at: number): string {
  return frame.toString('hex', at, at + 6).replace(/..(?=.)/g, '$&:');
}

export function textOf(address: Address): string {
  return formatAddress(Buffer.from(address, 'hex'));
}
