// Ethernet frames with IP and TCP or UDP, checksums right, for programs to work on.
import { addressBytes } from '../model/address.js';

export interface FrameOptions {
  /** `syn` and `ack` are TCP with that flag. */
  readonly kind: 'syn' | 'ack' | 'udp';
  readonly sourceMac: string;
  readonly destinationMac: string;
  /** Addresses of one family and ports in host order. */
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
}

/** The smallest Ethernet frame, without its checksum. */
const FRAME_BYTES = 60;
const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const TCP_BYTES = 20;
const TCP = 6;
const UDP = 17;
const TCP_FLAGS = { syn: 0x02, ack: 0x10 } as const;
/** Large, because a program that runs again on its own output takes one off each time. */
const TTL = 255;

/** 60 bytes, or with IPv6 74. */
export function buildFrame(options: FrameOptions): Buffer {
  const wide = options.source.address.includes(':');
  const transport = ETHERNET_BYTES + (wide ? IPV6_BYTES : IPV4_BYTES);
  const frame = Buffer.alloc(wide ? transport + TCP_BYTES : FRAME_BYTES);
  macBytes(options.destinationMac).copy(frame, 0);
  macBytes(options.sourceMac).copy(frame, 6);
  frame.writeUInt16BE(wide ? 0x86dd : 0x0800, 12);
  if (wide) writeIpv6Header(frame, options);
  else writeIpv4Header(frame, options);
  writeTransport(frame.subarray(transport), options);
  return frame;
}

function writeIpv4Header(frame: Buffer, { kind, source, destination }: FrameOptions): void {
  const ip = frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IPV4_BYTES);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(FRAME_BYTES - ETHERNET_BYTES, 2);
  ip.writeUInt16BE(0x4000, 6); // do not fragment
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(protocolOf(kind), 9);
  ip.set(addressBytes(source.address).subarray(12), 12);
  ip.set(addressBytes(destination.address).subarray(12), 16);
  ip.writeUInt16BE(checksum([ip]), 10);
}

function writeIpv6Header(frame: Buffer, { kind, source, destination }: FrameOptions): void {
  const ip = frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IPV6_BYTES);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(frame.length - ETHERNET_BYTES - IPV6_BYTES, 4);
  ip.writeUInt8(protocolOf(kind), 6);
  ip.writeUInt8(TTL, 7);
  ip.set(addressBytes(source.address), 8);
  ip.set(addressBytes(destination.address), 24);
}

/** All that is behind the IP header, padding included. */
function writeTransport(transport: Buffer, options: FrameOptions): void {
  transport.writeUInt16BE(options.source.port, 0);
  transport.writeUInt16BE(options.destination.port, 2);
  if (options.kind === 'udp') transport.writeUInt16BE(transport.length, 4);
  else writeTcp(transport, TCP_FLAGS[options.kind]);
  const sum = checksum([pseudoHeader(options, transport.length), transport]);
  transport.writeUInt16BE(sum, options.kind === 'udp' ? 6 : 16);
}

function writeTcp(transport: Buffer, flags: number): void {
  transport.writeUInt32BE(1, 4);
  transport.writeUInt32BE(1, 8);
  transport.writeUInt8(5 << 4, 12);
  transport.writeUInt8(flags, 13);
  transport.writeUInt16BE(0xffff, 14);
}

/** RFC 8200 section 8.1. With IPv4 as ::ffff:a.b.c.d: what that adds (0xffff twice) is zero in these sums. */
function pseudoHeader({ kind, source, destination }: FrameOptions, length: number): Buffer {
  const pseudo = Buffer.alloc(2 * 16 + 8);
  pseudo.set(addressBytes(source.address), 0);
  pseudo.set(addressBytes(destination.address), 16);
  pseudo.writeUInt32BE(length, 32);
  pseudo.writeUInt8(protocolOf(kind), 39);
  return pseudo;
}

function protocolOf(kind: FrameOptions['kind']): number {
  return kind === 'udp' ? UDP : TCP;
}

/** RFC 1071, over parts of even length. */
function checksum(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) for (let at = 0; at < part.length; at += 2) sum += part.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
