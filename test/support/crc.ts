// CRC32c (RFC 9260 appendix A) bit by bit over the whole message: the oracle for what the datapath computes by differences.

const POLYNOMIAL = 0x82f63b78;

/** Of SCTP: stands in the header with its lowest byte first. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Of an SCTP packet, whose own field counts as zero. */
export function sctpChecksum(packet: Uint8Array): number {
  const copy = Buffer.from(packet);
  copy.writeUInt32LE(0, 8);
  return crc32c(copy);
}
