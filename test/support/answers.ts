// What the node itself sends back: ICMP errors and resets, as they should be.
import type { Packet } from './packet.js';
import { PROTOCOL } from './packet-layer.js';
import { parseFrame, parseTransport } from './packet-text.js';
import { chunkNames, SCTP } from './sctp-layer.js';
import { back, type Device } from './world.js';

/** Type and code, IPv4 then IPv6: RFC 792, RFC 1812 and RFC 4443. */
export const ANSWER = {
  netUnreachable: [
    [3, 0],
    [1, 0],
  ],
  hostUnreachable: [
    [3, 1],
    [1, 3],
  ],
  portUnreachable: [
    [3, 3],
    [1, 4],
  ],
  prohibited: [
    [3, 13],
    [1, 1],
  ],
  tooBig: [
    [3, 4],
    [2, 0],
  ],
  timeExceeded: [
    [11, 0],
    [3, 0],
  ],
} as const;

export interface IcmpAnswer {
  readonly kind: keyof typeof ANSWER;
  /** Who says so. */
  readonly from: string;
  readonly mtu?: number;
}

/** Of the packet that the error is about. */
const QUOTE_BYTES = 128;

/** The ICMP error that comes back by the device that `refused` came from. */
export function icmpAnswer(device: Device, refused: Packet, { kind, from, mtu = 0 }: IcmpAnswer): Packet {
  const frame = refused.bytes();
  const network = parseFrame(frame);
  if (network === undefined) throw new Error('an answer to what is no IP packet');
  const bytes = network.length + (network.family === 'ipv6' ? 40 : 0);
  const quote = frame.subarray(14, 14 + Math.min(bytes, QUOTE_BYTES));
  const [four, six] = ANSWER[kind];
  const destination = network.source;
  if (network.family === 'ipv6') {
    const [type, code] = six;
    return back(device).ipv6({ source: from, destination }).icmp6({ type, code, rest: mtu }).payload(quote);
  }
  const [type, code] = four;
  return back(device).ipv4({ source: from, destination, id: 0 }).icmp4({ type, code, rest: mtu }).payload(quote);
}

/** The reset that refuses a segment (RFC 9293 section 3.10.7.1). */
export function resetAnswer(device: Device, refused: Packet): Packet {
  const frame = refused.bytes();
  const network = parseFrame(frame);
  const transport = network === undefined ? undefined : parseTransport(network, frame.subarray(14));
  if (network?.protocol !== PROTOCOL.tcp || transport === undefined) throw new Error('a reset of what is not TCP');
  const { body, source, destination } = network;
  const bits = body.readUInt8(13);
  const seen = transport.payload.length + (bits & 1 ? 1 : 0) + (bits & 2 ? 1 : 0);
  const numbers =
    bits & 16
      ? { flags: 'R', seq: body.readUInt32BE(8) }
      : { flags: 'RA', seq: 0, ack: (body.readUInt32BE(4) + seen) >>> 0 };
  const ports = { source: transport.destination, destination: transport.source, window: 0 };
  const frameBack = back(device);
  const outer = { source: destination, destination: source };
  const network2 = network.family === 'ipv4' ? frameBack.ipv4({ ...outer, id: 0 }) : frameBack.ipv6(outer);
  return network2.tcp({ ...ports, ...numbers });
}

/** The ABORT that refuses a packet of SCTP (RFC 9260 section 8.4). */
export function abortAnswer(device: Device, refused: Packet): Packet {
  const network = parseFrame(refused.bytes());
  if (network?.protocol !== SCTP) throw new Error('an ABORT of what is not SCTP');
  const { body, source, destination } = network;
  const opens = chunkNames(body).join() === 'INIT';
  const outer = { source: destination, destination: source };
  const frame = network.family === 'ipv4' ? back(device).ipv4({ ...outer, id: 0 }) : back(device).ipv6(outer);
  return frame.sctp({
    source: body.readUInt16BE(2),
    destination: body.readUInt16BE(0),
    tag: body.readUInt32BE(opens ? 16 : 4),
    chunks: [{ type: 'ABORT', flags: opens ? 0 : 1 }],
  });
}
