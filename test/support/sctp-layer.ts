// SCTP packets for tests (RFC 9260): the common header, chunks by name, and a correct CRC32c unless a field says otherwise.
import { sctpChecksum } from './crc.js';
import type { Layer } from './packet-layer.js';

export const SCTP = 132;
export const CHUNK = {
  DATA: 0,
  INIT: 1,
  'INIT ACK': 2,
  SACK: 3,
  HEARTBEAT: 4,
  'HEARTBEAT ACK': 5,
  ABORT: 6,
  SHUTDOWN: 7,
  'SHUTDOWN ACK': 8,
  ERROR: 9,
  'COOKIE ECHO': 10,
  'COOKIE ACK': 11,
  'SHUTDOWN COMPLETE': 14,
} as const;
export type ChunkName = keyof typeof CHUNK;

export interface Chunk {
  readonly type: ChunkName;
  readonly flags?: number;
  /** What INIT and INIT ACK announce: the tag that packets to their sender must have. */
  readonly initiateTag?: number;
  readonly value?: Uint8Array;
}

export interface SctpFields {
  readonly source: number;
  readonly destination: number;
  /** Verification tag. */
  readonly tag?: number;
  /** INIT when absent. */
  readonly chunks?: readonly (ChunkName | Chunk)[];
  readonly checksum?: number;
}

export function sctpLayer(fields: SctpFields): Layer {
  return {
    protocol: SCTP,
    encode(body) {
      const { chunks = ['INIT'] } = fields;
      const head = Buffer.alloc(12);
      head.writeUInt16BE(fields.source, 0);
      head.writeUInt16BE(fields.destination, 2);
      head.writeUInt32BE(fields.tag ?? 0, 4);
      const packet = Buffer.concat([
        head,
        ...chunks.map((chunk) => chunkBytes(typeof chunk === 'string' ? { type: chunk } : chunk)),
        body,
      ]);
      packet.writeUInt32LE(fields.checksum ?? sctpChecksum(packet), 8);
      return packet;
    },
  };
}

/** Padded to a multiple of 4 bytes, which its length does not count. */
function chunkBytes({ type, flags = 0, initiateTag = 0x1234, value }: Chunk): Buffer {
  const content = value ?? (type === 'INIT' || type === 'INIT ACK' ? initBytes(initiateTag) : Buffer.alloc(0));
  const chunk = Buffer.alloc(4 + Math.ceil(content.length / 4) * 4);
  chunk[0] = CHUNK[type];
  chunk[1] = flags;
  chunk.writeUInt16BE(4 + content.length, 2);
  chunk.set(content, 4);
  return chunk;
}

/** Initiate tag, receive window, streams out and in, first TSN. */
function initBytes(tag: number): Buffer {
  const value = Buffer.alloc(16);
  value.writeUInt32BE(tag, 0);
  value.writeUInt32BE(65_536, 4);
  value.writeUInt16BE(10, 8);
  value.writeUInt16BE(10, 10);
  value.writeUInt32BE(1, 12);
  return value;
}

/** The names of a packet's chunks, as far as they can be read. */
export function chunkNames(packet: Buffer): string[] {
  const names: string[] = [];
  for (let at = 12; at + 4 <= packet.length; ) {
    const type = packet.readUInt8(at);
    const flags = packet.readUInt8(at + 1);
    const name = Object.entries(CHUNK).find(([, value]) => value === type)?.[0] ?? `${type}`;
    names.push(flags === 0 ? name : `${name} flags ${flags}`);
    at += Math.max(4, (packet.readUInt16BE(at + 2) + 3) & ~3);
  }
  return names;
}
