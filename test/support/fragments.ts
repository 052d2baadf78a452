// Cuts a whole packet into fragments as its sender would (RFC 791, RFC 8200 section 4.5).
import { internetChecksum } from './checksum.js';
import { PROTOCOL } from './packet-layer.js';

const ETHERNET = 14;

export interface Cut {
  readonly id: number;
  /** Bytes of the transport packet in each fragment but the last; a multiple of 8. */
  readonly bytes: number;
}

/** Frames of the fragments, in order. IPv6 packets have no extension headers. */
export function fragmentsOf(frame: Buffer, { id, bytes }: Cut): Buffer[] {
  const ipv4 = frame.readUInt16BE(12) === 0x0800;
  const header = frame.subarray(0, ETHERNET + (ipv4 ? 20 : 40));
  const body = frame.subarray(header.length);
  return Array.from({ length: Math.ceil(body.length / bytes) }, (_, index) => {
    const part = body.subarray(index * bytes, (index + 1) * bytes);
    const more = (index + 1) * bytes < body.length;
    const place = { id, offset: index * bytes, more };
    return ipv4 ? fragment4(header, part, place) : fragment6(header, part, place);
  });
}

interface Place {
  readonly id: number;
  readonly offset: number;
  readonly more: boolean;
}

function fragment4(header: Buffer, part: Buffer, { id, offset, more }: Place): Buffer {
  const head = Buffer.from(header);
  const ip = head.subarray(ETHERNET);
  ip.writeUInt16BE(20 + part.length, 2);
  ip.writeUInt16BE(id, 4);
  ip.writeUInt16BE((more ? 0x2000 : 0) | (offset / 8), 6);
  ip.writeUInt16BE(0, 10);
  ip.writeUInt16BE(internetChecksum(ip), 10);
  return Buffer.concat([head, part]);
}

function fragment6(header: Buffer, part: Buffer, { id, offset, more }: Place): Buffer {
  const head = Buffer.from(header);
  const extension = Buffer.alloc(8);
  extension[0] = head.readUInt8(ETHERNET + 6);
  extension.writeUInt16BE(offset | (more ? 1 : 0), 2);
  extension.writeUInt32BE(id, 4);
  head[ETHERNET + 6] = PROTOCOL.fragment;
  head.writeUInt16BE(8 + part.length, ETHERNET + 4);
  return Buffer.concat([head, extension, part]);
}
