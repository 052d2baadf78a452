// Ethernet frames with IPv4 and TCP or UDP, checksums right, for programs to work on.
import { addressBytes } from '../model/address.js';

export interface FrameOptions {
  /** `syn` and `ack` are TCP with that flag. */
  readonly kind: 'syn' | 'ack' | 'udp';
  readonly sourceMac: string;
  readonly destinationMac: string;
  /** IPv4 addresses and ports in host order. */
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
}

/** The smallest Ethernet frame, without its checksum. */
const FRAME_BYTES = 60;
const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const TRANSPORT = ETHERNET_BYTES + IP_BYTES;
const TCP = 6;
const UDP = 17;
const TCP_FLAGS = { syn: 0x02, ack: 0x10 } as const;
/** Large, because a program that runs again on its own output takes one off each time. */
const TTL = 255;

/** 60 bytes. */
export function buildFrame(options: FrameOptions): Buffer {
  const frame = Buffer.alloc(FRAME_BYTES);
  macBytes(options.destinationMac).copy(frame, 0);
  macBytes(options.sourceMac).copy(frame, 6);
  frame.writeUInt16BE(0x0800, 12);
  writeIpHeader(frame, options);
  frame.writeUInt16BE(options.source.port, TRANSPORT);
  frame.writeUInt16BE(options.destination.port, TRANSPORT + 2);
  if (options.kind === 'udp') frame.writeUInt16BE(FRAME_BYTES - TRANSPORT, TRANSPORT + 4);
  else writeTcp(frame, TCP_FLAGS[options.kind]);
  const at = TRANSPORT + (options.kind === 'udp' ? 6 : 16);
  frame.writeUInt16BE(checksum([pseudoHeader(frame), frame.subarray(TRANSPORT)]), at);
  return frame;
}

function writeIpHeader(frame: Buffer, { kind, source, destination }: FrameOptions): void {
  const ip = frame.subarray(ETHERNET_BYTES, TRANSPORT);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(FRAME_BYTES - ETHERNET_BYTES, 2);
  ip.writeUInt16BE(0x4000, 6); // do not fragment
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(kind === 'udp' ? UDP : TCP, 9);
  ip.set(addressBytes(source.address).subarray(12), 12);
  ip.set(addressBytes(destination.address).subarray(12), 16);
  ip.writeUInt16BE(checksum([ip]), 10);
}

function writeTcp(frame: Buffer, flags: number): void {
  frame.writeUInt32BE(1, TRANSPORT + 4);
  frame.writeUInt32BE(1, TRANSPORT + 8);
  frame.writeUInt8(5 << 4, TRANSPORT + 12);
  frame.writeUInt8(flags, TRANSPORT + 13);
  frame.writeUInt16BE(0xffff, TRANSPORT + 14);
}

/** RFC 9293 section 3.1 and RFC 768. */
function pseudoHeader(frame: Buffer): Buffer {
  const pseudo = Buffer.alloc(12);
  frame.copy(pseudo, 0, ETHERNET_BYTES + 12, TRANSPORT);
  pseudo.writeUInt8(frame.readUInt8(ETHERNET_BYTES + 9), 9);
  pseudo.writeUInt16BE(FRAME_BYTES - TRANSPORT, 10);
  return pseudo;
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
