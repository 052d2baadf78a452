// What a router reads of a packet: RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792 and RFC 4443, and the limits that we state.

import { internetChecksum } from '../checksum.js';
import type { DropName } from '../datapath.js';
import { ETHERNET_BYTES, ETHERTYPE, PROTOCOL } from '../packet-layer.js';
import { CHUNK, SCTP } from '../sctp-layer.js';
import type { Tuple } from './tuple.js';

/** A packet that is not taken for one, or goes no further. */
export class Refused extends Error {
  readonly reason: DropName;

  constructor(reason: DropName) {
    super(reason);
    this.reason = reason;
  }
}

export interface Fragment {
  readonly id: number;
  /** Bytes. */
  readonly offset: number;
}

export type IcmpKind = 'request' | 'reply' | 'error' | 'other';

export interface View {
  readonly six: boolean;
  /** The IP packet without what the link added behind it. */
  readonly bytes: Buffer;
  readonly hops: number;
  readonly tuple: Tuple;
  /** Offset of the transport header in `bytes`. */
  readonly transport: number;
  readonly fragment: Fragment | undefined;
  /** Of the TCP header; of SCTP what its chunks say in TCP's flags. */
  readonly tcp: { readonly flags: number; readonly bytes: number } | undefined;
  readonly icmpType: number | undefined;
  /** undefined in later fragments. */
  readonly icmpKind: IcmpKind | undefined;
}

export const TCP = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;
/** Headers that may stand before the transport's; more of them are nobody's (limit). */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, PROTOCOL.fragment, 60]);
const EXTENSIONS_MAX = 4;
/** Where a transport header may begin at most, from the Ethernet header (limit). */
const TRANSPORT_MAX = 255;

interface Headers {
  readonly protocol: number;
  readonly transport: number;
  readonly fragment: Fragment | undefined;
}

/** Reads a frame. Throws Refused. */
export function viewOf(frame: Buffer): View {
  const rest = frame.subarray(ETHERNET_BYTES);
  switch (frame.readUInt16BE(12)) {
    case ETHERTYPE.ipv4:
      return ipv4View(rest);
    case ETHERTYPE.ipv6:
      return ipv6View(rest);
    default:
      throw new Refused('DROP_UNSUPPORTED_ETHERTYPE');
  }
}

export function isLater({ fragment }: Pick<View, 'fragment'>): boolean {
  return fragment !== undefined && fragment.offset > 0;
}

export function isIcmp({ tuple: { protocol } }: View): boolean {
  return protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6;
}

function ipv4View(rest: Buffer): View {
  if (rest.length < 20) throw new Refused('DROP_TRUNCATED');
  const header = (rest.readUInt8(0) & 15) * 4;
  if (rest.readUInt8(0) >> 4 !== 4 || header < 20) throw new Refused('DROP_MALFORMED');
  // Options are read by nobody here, so the sum over them is left to the receiver.
  if (header === 20 && internetChecksum(rest.subarray(0, 20)) !== 0) throw new Refused('DROP_MALFORMED');
  const length = rest.readUInt16BE(2) || rest.length;
  if (length > rest.length) throw new Refused('DROP_TRUNCATED');
  if (length < header) throw new Refused('DROP_MALFORMED');
  const place = rest.readUInt16BE(6);
  const id = rest.readUInt16BE(4);
  const fragment = place & 0x3fff ? { id, offset: (place & 0x1fff) * 8 } : undefined;
  const addresses = { source: mapped(rest.subarray(12, 16)), destination: mapped(rest.subarray(16, 20)) };
  const headers = { protocol: rest.readUInt8(9), transport: header, fragment };
  const base = { six: false, bytes: rest.subarray(0, length), hops: rest.readUInt8(8) };
  return transportView({ ...base, ...headers }, addresses);
}

function ipv6View(rest: Buffer): View {
  if (rest.length < 40) throw new Refused('DROP_TRUNCATED');
  if (rest.readUInt8(0) >> 4 !== 6) throw new Refused('DROP_MALFORMED');
  const payload = rest.readUInt16BE(4);
  // A length of 0 is a jumbogram's.
  const length = payload === 0 ? rest.length : payload + 40;
  if (length > rest.length) throw new Refused('DROP_TRUNCATED');
  const addresses = { source: rest.toString('hex', 8, 24), destination: rest.toString('hex', 24, 40) };
  const isMapped = (address: string): boolean => address.startsWith('00000000000000000000ffff');
  if (Object.values(addresses).some(isMapped)) throw new Refused('DROP_MALFORMED');
  const bytes = rest.subarray(0, length);
  const headers = extensionsOf(bytes, true);
  if (headers.transport > length) throw new Refused('DROP_TRUNCATED');
  return transportView({ six: true, bytes, hops: rest.readUInt8(7), ...headers }, addresses);
}

function mapped(four: Buffer): string {
  return `00000000000000000000ffff${four.toString('hex')}`;
}

/**
 * What stands before the transport header; ends at a later fragment's, whose rest is payload. Throws Refused;
 * the headers of a quoted packet (`outer` false) are read more leniently.
 */
export function extensionsOf(bytes: Buffer, outer: boolean): Headers {
  let protocol = bytes.readUInt8(6);
  let transport = 40;
  let fragment: Fragment | undefined;
  for (let count = 0; count < EXTENSIONS_MAX && EXTENSIONS.has(protocol); count++) {
    if (transport + 8 > bytes.length) throw new Refused('DROP_TRUNCATED');
    if (protocol === PROTOCOL.fragment) {
      // A fragment of a fragment is none (RFC 8200 section 4.1).
      if (fragment !== undefined && outer) throw new Refused('DROP_MALFORMED');
      fragment = fragmentOf(bytes, transport);
    }
    const units = protocol === PROTOCOL.fragment ? 0 : bytes.readUInt8(transport + 1);
    protocol = bytes.readUInt8(transport);
    transport += (units + 1) * 8;
    if (outer && transport + ETHERNET_BYTES > TRANSPORT_MAX) throw new Refused('DROP_IP_OPTIONS');
    if (isLater({ fragment })) break;
  }
  return { protocol, transport, fragment };
}

/** undefined when the header makes a fragment of nothing (RFC 6946). */
function fragmentOf(bytes: Buffer, at: number): Fragment | undefined {
  const place = bytes.readUInt16BE(at + 2);
  return (place & 0xfff9) === 0 ? undefined : { id: bytes.readUInt32BE(at + 4), offset: place & 0xfff8 };
}

type Base = Headers & Pick<View, 'six' | 'bytes' | 'hops'>;
type Ends = Pick<Tuple, 'source' | 'destination'>;

function transportView({ protocol, ...base }: Base, ends: Ends): View {
  const plain: View = {
    ...base,
    tuple: { protocol, ...ends, sourcePort: 0, destinationPort: 0 },
    tcp: undefined,
    icmpType: undefined,
    icmpKind: undefined,
  };
  if (isLater(base)) return plain;
  if (protocol === PROTOCOL.tcp) return withPorts(plain, tcpOf(plain));
  if (protocol === PROTOCOL.udp) return withPorts(plain);
  if (protocol === SCTP) return withPorts(plain, sctpOf(plain));
  return isIcmp(plain) ? icmpView(plain) : plain;
}

function headerOf({ bytes, transport }: View, length: number): Buffer {
  if (transport + length > bytes.length) throw new Refused('DROP_TRUNCATED');
  return bytes.subarray(transport, transport + length);
}

function tcpOf(view: View): View['tcp'] {
  const header = headerOf(view, 20);
  const bytes = (header.readUInt8(12) >> 4) * 4;
  if (bytes < 20) throw new Refused('DROP_MALFORMED');
  headerOf(view, bytes);
  return { flags: header.readUInt8(13), bytes };
}

/** RFC 9260, in terms of RFC 9293; only so many chunks are looked at (limit). */
const SCTP_FLAGS: Readonly<Record<number, number>> = {
  [CHUNK.INIT]: TCP.syn,
  [CHUNK['INIT ACK']]: TCP.syn | TCP.ack,
  [CHUNK.SHUTDOWN]: TCP.fin | TCP.ack,
  [CHUNK['SHUTDOWN ACK']]: TCP.fin | TCP.ack,
  [CHUNK.ABORT]: TCP.rst,
  [CHUNK['SHUTDOWN COMPLETE']]: TCP.rst,
  [CHUNK.HEARTBEAT]: 0,
  [CHUNK['HEARTBEAT ACK']]: 0,
};
const CHUNKS_MAX = 4;

function sctpOf(view: View): View['tcp'] {
  headerOf(view, 12);
  const { bytes } = view;
  let flags = 0;
  for (let count = 0, at = view.transport + 12; count < CHUNKS_MAX && at + 4 <= bytes.length; count++) {
    const [type, length] = [bytes.readUInt8(at), bytes.readUInt16BE(at + 2)];
    flags |= SCTP_FLAGS[type] ?? TCP.ack;
    if (type === CHUNK.DATA || length < 4) break;
    at += Math.ceil(length / 4) * 4;
  }
  return { flags, bytes: 12 };
}

function withPorts(view: View, tcp?: View['tcp']): View {
  const header = headerOf(view, 8);
  const ports = { sourcePort: header.readUInt16BE(0), destinationPort: header.readUInt16BE(2) };
  return { ...view, tcp, tuple: { ...view.tuple, ...ports } };
}

function icmpView(view: View): View {
  if ((view.tuple.protocol === PROTOCOL.icmp6) !== view.six) throw new Refused('DROP_MALFORMED');
  const header = headerOf(view, 8);
  const icmpType = header.readUInt8(0);
  const icmpKind = icmpKindOf(view.six, icmpType);
  return { ...view, icmpType, icmpKind, tuple: { ...view.tuple, ...echoPorts(icmpKind, header.readUInt16BE(4)) } };
}

/** RFC 792 and RFC 4443. */
export function icmpKindOf(six: boolean, type: number): IcmpKind {
  if (type === (six ? 128 : 8)) return 'request';
  if (type === (six ? 129 : 0)) return 'reply';
  return (six ? [1, 2, 3, 4] : [3, 11, 12]).includes(type) ? 'error' : 'other';
}

export function echoPorts(kind: IcmpKind, id: number): Pick<Tuple, 'sourcePort' | 'destinationPort'> {
  return { sourcePort: kind === 'request' ? id : 0, destinationPort: kind === 'reply' ? id : 0 };
}
