// The Internet checksum (RFC 1071) from scratch: the oracle for what the datapath computes by differences.

/** The sum of 16-bit words, complemented; an odd last byte counts as if a zero followed. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Pseudo {
  /** 4 or 16 bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
}

/** The checksum of a transport header and its payload, with the pseudo header of RFC 793 or RFC 8200. */
export function transportChecksum({ source, destination, protocol }: Pseudo, segment: Uint8Array): number {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(segment.length, 0);
  tail.writeUInt32BE(protocol, 4);
  return internetChecksum(Buffer.concat([source, destination, tail, segment]));
}
