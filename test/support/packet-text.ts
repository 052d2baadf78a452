// Reads packets back: into fields for assertions, and into lines of text that make a difference easy to see.
import { formatAddress } from '../../src/model/address.js';
import { internetChecksum, type Pseudo, transportChecksum } from './checksum.js';
import { sctpChecksum } from './crc.js';
import { ETHERNET_BYTES, ETHERTYPE, PROTOCOL } from './packet-layer.js';
import { chunkNames, SCTP } from './sctp-layer.js';

export type ChecksumState = 'ok' | 'wrong' | 'absent' | 'partial';

export interface Network {
  readonly family: 'ipv4' | 'ipv6';
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  /** Of the transport, behind extension headers. */
  readonly protocol: number;
  /** As the header says, bytes. */
  readonly length: number;
  /** Of the IPv4 header. */
  readonly checksum: ChecksumState;
  readonly fragment: string;
  readonly options: number;
  /** What follows the header and its extensions, cut to the length. */
  readonly body: Buffer;
}

export interface Transport {
  readonly name: 'tcp' | 'udp' | 'icmp' | 'sctp' | 'other';
  /** Ports; of an ICMP message type and code. */
  readonly source: number;
  readonly destination: number;
  readonly checksum: ChecksumState;
  readonly text: string;
  readonly payload: Buffer;
}

/** The IP packet of a frame; undefined when it is none or ends early. */
export function parseFrame(frame: Buffer): Network | undefined {
  return parseIp(frame.subarray(ETHERNET_BYTES));
}

export function parseIp(bytes: Buffer): Network | undefined {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4 && bytes.length >= 20) return parseIpv4(bytes);
  return version === 6 && bytes.length >= 40 ? parseIpv6(bytes) : undefined;
}

function parseIpv4(bytes: Buffer): Network {
  const header = (bytes.readUInt8(0) & 15) * 4;
  const length = bytes.readUInt16BE(2);
  const bits = bytes.readUInt16BE(6);
  return {
    family: 'ipv4',
    source: bytes.subarray(12, 16).join('.'),
    destination: bytes.subarray(16, 20).join('.'),
    ttl: bytes.readUInt8(8),
    protocol: bytes.readUInt8(9),
    length,
    checksum: internetChecksum(bytes.subarray(0, header)) === 0 ? 'ok' : 'wrong',
    fragment: fragmentText(bytes.readUInt16BE(4), bits),
    options: header - 20,
    body: bytes.subarray(header, Math.max(header, length)),
  };
}

function fragmentText(id: number, bits: number): string {
  const flags = `${bits & 0x4000 ? ' DF' : ''}${bits & 0x2000 ? ' MF' : ''}`;
  return `id ${id}${flags}${bits & 0x1fff ? ` at ${(bits & 0x1fff) * 8}` : ''}`;
}

const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 60]);

function parseIpv6(bytes: Buffer): Network {
  const length = bytes.readUInt16BE(4);
  let protocol = bytes.readUInt8(6);
  let offset = 40;
  let fragment = '';
  while (EXTENSIONS.has(protocol) && offset + 8 <= bytes.length) {
    const isFragment = protocol === PROTOCOL.fragment;
    const bits = bytes.readUInt16BE(offset + 2);
    if (isFragment) fragment = `id ${bytes.readUInt32BE(offset + 4)}${bits & 1 ? ' MF' : ''} at ${bits & 0xfff8}`;
    protocol = bytes.readUInt8(offset);
    offset += isFragment ? 8 : (bytes.readUInt8(offset + 1) + 1) * 8;
    if (isFragment && bits & 0xfff8) break;
  }
  return {
    family: 'ipv6',
    source: formatAddress(bytes.subarray(8, 24)),
    destination: formatAddress(bytes.subarray(24, 40)),
    ttl: bytes.readUInt8(7),
    protocol,
    length,
    checksum: 'absent',
    fragment,
    options: offset - 40,
    body: bytes.subarray(offset, Math.max(offset, 40 + length)),
  };
}

/** Of a whole packet or a first fragment; undefined when its header is not all there. */
export function parseTransport(network: Network, header: Buffer): Transport | undefined {
  const { body, protocol, family } = network;
  const pseudo = {
    source: header.subarray(...span(family, 0)),
    destination: header.subarray(...span(family, 1)),
    protocol,
  };
  if (/ at [1-9]/.test(network.fragment)) return undefined;
  if (protocol === PROTOCOL.tcp && body.length >= 20) return parseTcp(body, stateOf(network, pseudo));
  if (protocol === PROTOCOL.udp && body.length >= 8) {
    const absent = body.readUInt16BE(6) === 0;
    return parseUdp(body, absent ? 'absent' : stateOf(network, pseudo));
  }
  if (protocol === SCTP && body.length >= 12) return parseSctp(network);
  const icmp = family === 'ipv4' ? PROTOCOL.icmp : PROTOCOL.icmp6;
  return protocol === icmp && body.length >= 8 ? parseIcmp(body, stateOf(network, pseudo)) : undefined;
}

function span(family: Network['family'], index: number): [number, number] {
  const bytes = family === 'ipv4' ? 4 : 16;
  const start = (family === 'ipv4' ? 12 : 8) + index * bytes;
  return [start, start + bytes];
}

/** A fragment's checksum covers more than is here. */
function stateOf(network: Network, pseudo: Pseudo): ChecksumState {
  const whole = network.family === 'ipv4' ? network.length - 20 : network.length;
  if (network.fragment.includes('MF') || network.body.length < whole - network.options) return 'partial';
  const plain = pseudo.protocol === PROTOCOL.icmp;
  const sum = plain ? internetChecksum(network.body) : transportChecksum(pseudo, network.body);
  return sum === 0 ? 'ok' : 'wrong';
}

function parseSctp({ body, fragment }: Network): Transport {
  const [source, destination] = [body.readUInt16BE(0), body.readUInt16BE(2)];
  const sum = body.readUInt32LE(8);
  const whole = sum === 0 ? 'absent' : sum === sctpChecksum(body) ? 'ok' : 'wrong';
  const checksum = fragment.includes('MF') ? 'partial' : whole;
  const text = `sctp ${source} > ${destination} tag ${body.readUInt32BE(4)} ${chunkNames(body).join(', ')}`;
  return { name: 'sctp', source, destination, checksum, text, payload: body.subarray(12) };
}

function parseTcp(body: Buffer, checksum: ChecksumState): Transport {
  const bits = body.readUInt8(13);
  const flags = [...'FSRPAU'].filter((_, bit) => bits & (1 << bit)).join('');
  const [source, destination] = [body.readUInt16BE(0), body.readUInt16BE(2)];
  const text = `tcp ${source} > ${destination} ${flags} seq ${body.readUInt32BE(4)} ack ${body.readUInt32BE(8)}`;
  return { name: 'tcp', source, destination, checksum, text, payload: body.subarray((body.readUInt8(12) >> 4) * 4) };
}

function parseUdp(body: Buffer, checksum: ChecksumState): Transport {
  const [source, destination] = [body.readUInt16BE(0), body.readUInt16BE(2)];
  const text = `udp ${source} > ${destination} length ${body.readUInt16BE(4)}`;
  return { name: 'udp', source, destination, checksum, text, payload: body.subarray(8) };
}

function parseIcmp(body: Buffer, checksum: ChecksumState): Transport {
  const [source, destination] = [body.readUInt8(0), body.readUInt8(1)];
  const text = `icmp ${source}/${destination} ${body.readUInt16BE(4)} ${body.readUInt16BE(6)}`;
  return { name: 'icmp', source, destination, checksum, text, payload: body.subarray(8) };
}

/** ICMP messages that quote a packet. */
function isError({ family }: Network, type: number): boolean {
  return family === 'ipv4' ? [3, 11, 12].includes(type) : type >= 1 && type <= 4;
}

/** One line a layer; the quoted packet of an ICMP error is printed further in. */
export function printFrame(frame: Buffer): string[] {
  const mac = (at: number) => frame.toString('hex', at, at + 6).replace(/..(?=.)/g, '$&:');
  const type = frame.readUInt16BE(12);
  const name = Object.entries(ETHERTYPE).find(([, value]) => value === type)?.[0] ?? type.toString(16);
  return [`eth ${mac(6)} > ${mac(0)} ${name}`, ...printIp(frame.subarray(ETHERNET_BYTES), '')];
}

function printIp(bytes: Buffer, indent: string): string[] {
  const network = parseIp(bytes);
  if (network === undefined) return [`${indent}bytes ${bytes.toString('hex')}`];
  const { family, source, destination, ttl, protocol, length, fragment, options, checksum, body } = network;
  const extra = `${fragment === '' ? '' : ` ${fragment}`}${options > 0 ? ` options ${options}` : ''}`;
  const bad = checksum === 'wrong' ? ' WRONG CHECKSUM' : '';
  const line = `${indent}${family} ${source} > ${destination} ttl ${ttl} protocol ${protocol} length ${length}${extra}${bad}`;
  const transport = parseTransport(network, bytes);
  if (transport === undefined) return [line, `${indent}payload ${body.length}: ${body.toString('hex')}`];
  const { text, payload, name } = transport;
  const inner =
    name === 'icmp' && isError(network, transport.source)
      ? printIp(payload, `${indent}  `)
      : [`${indent}payload ${payload.length}: ${payload.toString('hex')}`];
  return [line, `${indent}${text} checksum ${transport.checksum}`, ...inner];
}
