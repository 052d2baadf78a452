// A checksum after a part of what it covers has changed (RFC 1624), so that a wrong one stays wrong by as much.

/** HC' = ~(~HC + ~m + m') of RFC 1624 equation 3, for bytes that changed at even offsets. */
export function updateChecksum(checksum: number, before: Uint8Array, after: Uint8Array): number {
  let sum = ~checksum & 0xffff;
  for (let at = 0; at < before.length; at += 2) sum += (~wordAt(before, at) & 0xffff) + wordAt(after, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
