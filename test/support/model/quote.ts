// The packet that an ICMP error is about (RFC 5508 section 4): whose it is, and what it becomes for who hears of it.
import { internetChecksum } from '../checksum.js';
import { ETHERNET_BYTES, PROTOCOL } from '../packet-layer.js';
import { addressesOf, setAddresses, setPorts, takeHop } from './rewrite.js';
import { updateChecksum } from './sum.js';
import { reverse, type Tuple } from './tuple.js';
import { echoPorts, extensionsOf, icmpKindOf, isLater, Refused, type View } from './view.js';

export interface Quote {
  /** Of the quoted packet. */
  readonly tuple: Tuple;
  /** Offset of its transport header in the packet that quotes it. */
  readonly transport: number;
  readonly request: boolean;
}

const ICMP_BYTES = 8;

/** Reads what an ICMP error quotes. Throws Refused. */
export function quoteOf(view: View): Quote {
  const start = view.transport + ICMP_BYTES;
  const quoted = view.bytes.subarray(start);
  const { ends, ...headers } = view.six ? quotedIpv6(quoted) : quotedIpv4(quoted);
  // It carries no ports.
  if (isLater(headers)) throw new Refused('DROP_ICMP_UNSUPPORTED');
  // What every error must have (RFC 792).
  if (quoted.length < headers.transport + 8) throw new Refused('DROP_TRUNCATED');
  const transport = quoted.subarray(headers.transport);
  const { protocol } = headers;
  const isEcho = protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6;
  const kind = icmpKindOf(view.six, transport.readUInt8(0));
  // No error is about an error, and no other message is translated.
  if (isEcho && kind !== 'request' && kind !== 'reply') throw new Refused('DROP_ICMP_UNSUPPORTED');
  const ports = isEcho
    ? echoPorts(kind, transport.readUInt16BE(4))
    : { sourcePort: transport.readUInt16BE(0), destinationPort: transport.readUInt16BE(2) };
  const request = isEcho && kind === 'request';
  return { tuple: { protocol, ...ends, ...ports }, transport: start + headers.transport, request };
}

type QuotedHeaders = ReturnType<typeof extensionsOf> & { readonly ends: Pick<Tuple, 'source' | 'destination'> };

/** RFC 5508 REQ-3: the quoted header must be right; a sum over options is left to the receiver. */
function quotedIpv4(bytes: Buffer): QuotedHeaders {
  if (bytes.length < 20) throw new Refused('DROP_TRUNCATED');
  const transport = (bytes.readUInt8(0) & 15) * 4;
  const isWrong = transport === 20 && internetChecksum(bytes.subarray(0, 20)) !== 0;
  if (bytes.readUInt8(0) >> 4 !== 4 || transport < 20 || isWrong) throw new Refused('DROP_ICMP_UNSUPPORTED');
  const offset = (bytes.readUInt16BE(6) & 0x1fff) * 8;
  const mapped = (at: number): string => `00000000000000000000ffff${bytes.toString('hex', at, at + 4)}`;
  return {
    protocol: bytes.readUInt8(9),
    transport,
    fragment: { id: bytes.readUInt16BE(4), offset },
    ends: { source: mapped(12), destination: mapped(16) },
  };
}

function quotedIpv6(bytes: Buffer): QuotedHeaders {
  if (bytes.length < 40) throw new Refused('DROP_TRUNCATED');
  if (bytes.readUInt8(0) >> 4 !== 6) throw new Refused('DROP_ICMP_UNSUPPORTED');
  const ends = { source: bytes.toString('hex', 8, 24), destination: bytes.toString('hex', 24, 40) };
  return { ...extensionsOf(bytes, false), ends };
}

/** The error as it leaves: the quoted packet as its receiver once sent it, and who reports by the name it knows. */
export function translatedError(frame: Buffer, view: View, quote: Quote, becomes: Tuple): Buffer {
  const out = Buffer.from(frame);
  const ip = out.subarray(ETHERNET_BYTES, ETHERNET_BYTES + view.bytes.length);
  takeHop(ip, view.six);
  rewriteQuote(ip, view, quote, becomes);
  const isAboutItself = view.tuple.source === quote.tuple.destination;
  const was = addressesOf(ip, view.six);
  setAddresses(ip, view.six, {
    source: isAboutItself ? becomes.destination : view.tuple.source,
    destination: becomes.source,
  });
  const before = view.bytes.subarray(view.transport + ICMP_BYTES);
  const after = ip.subarray(view.transport + ICMP_BYTES);
  const [even, odd] = [padded(before), padded(after)];
  const pseudo = view.six ? [was, addressesOf(ip, true)] : [];
  const [old = Buffer.alloc(0), now = Buffer.alloc(0)] = pseudo;
  const field = view.transport + 2;
  const sum = updateChecksum(ip.readUInt16BE(field), Buffer.concat([old, even]), Buffer.concat([now, odd]));
  ip.writeUInt16BE(sum, field);
  return out;
}

function padded(bytes: Buffer): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
}

function rewriteQuote(ip: Buffer, view: View, quote: Quote, becomes: Tuple): void {
  const quoted = ip.subarray(view.transport + ICMP_BYTES);
  const was = addressesOf(quoted, view.six);
  setAddresses(quoted, view.six, becomes);
  const transport = ip.subarray(quote.transport);
  const part = { transport, protocol: quote.tuple.protocol, request: quote.request };
  setPorts(part, becomes, [was, addressesOf(quoted, view.six)]);
}

/** What answers the quoted packet, and so names the flow's other direction. */
export function answerOf({ tuple }: Quote): Tuple {
  return reverse(tuple);
}
