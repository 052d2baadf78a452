// IP addresses and CIDRs as the rest of the code sees them: canonical text at the edges, 16 bytes inside.
import { Address4, Address6 } from 'ip-address';

/** Canonical text of an address: dotted IPv4, or RFC 5952 IPv6. Never v4-mapped. */
export type IpAddress = string;
/** Canonical text of a CIDR with its host bits zero, e.g. `10.244.1.0/24`. */
export type Cidr = string;
export type Family = 'ipv4' | 'ipv6';
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** An address that is not one. */
export class AddressError extends Error {
  readonly code = 'ERR_ADDRESS';
}

const V4_PREFIX_BITS = 96;

export function familyOf(address: IpAddress | Cidr): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** Parses IPv4 or IPv6 text into canonical text; a v4-mapped address becomes IPv4. Throws AddressError. */
export function parseAddress(text: string): IpAddress {
  return formatAddress(addressBytes(text));
}

/** The 16 bytes of an address in network order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2). */
export function addressBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  if (writeIpv4(text, bytes)) return bytes;
  bytes.fill(0);
  try {
    if (text.includes('/') || text.includes('%')) throw new Error('not a plain address');
    if (text.includes(':')) {
      const parsed = new Address6(text).toUnsignedByteArray();
      bytes.set(parsed, 16 - parsed.length);
      return bytes;
    }
    bytes.set([0xff, 0xff, ...new Address4(text).toArray()], 10);
    return bytes;
  } catch (cause) {
    throw new AddressError(`not an IP address: '${text}'`, { cause });
  }
}

const DOT = 0x2e;
const ZERO = 0x30;

/**
 * Canonical dotted text, without an object a number: a large cluster has a hundred thousand of them. false for anything
 * else, which may be an address yet; `bytes` have anything then.
 */
function writeIpv4(text: string, bytes: Uint8Array): boolean {
  let [at, number, digits] = [12, 0, 0];
  for (let index = 0; index <= text.length; index++) {
    const code = index === text.length ? DOT : text.charCodeAt(index);
    if (code === DOT) {
      if (digits === 0 || number > 255 || at > 15) return false;
      bytes[at++] = number;
      [number, digits] = [0, 0];
    } else {
      const isDigit = code >= ZERO && code < ZERO + 10;
      if (!isDigit || digits === 3 || (digits > 0 && number === 0)) return false;
      number = number * 10 + code - ZERO;
      digits++;
    }
  }
  bytes[10] = bytes[11] = 0xff;
  return at === 16;
}

/** Canonical text of 16 bytes in network order. */
export function formatAddress(bytes: Uint8Array): IpAddress {
  if (isMapped(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  return Address6.fromByteArray([...bytes]).correctForm();
}

/** Parses a CIDR and zeroes its host bits. Throws AddressError. */
export function parseCidr(text: string): Cidr {
  const { bytes, length } = cidrBytes(text);
  const mask = maskBytes(length);
  const network = bytes.map((byte, index) => byte & (mask[index] ?? 0));
  const address = formatAddress(network);
  return `${address}/${familyOf(address) === 'ipv4' ? length - V4_PREFIX_BITS : length}`;
}

/** The 16 bytes and the 128-bit prefix length of a CIDR: an IPv4 /24 has length 120. */
export function cidrBytes(text: string): { bytes: Uint8Array; length: number } {
  const [address, suffix, ...rest] = text.split('/');
  const bits = familyOf(address ?? '') === 'ipv4' ? 32 : 128;
  const length = suffix !== undefined && /^\d{1,3}$/.test(suffix) ? Number(suffix) : Number.NaN;
  if (address === undefined || rest.length > 0 || !(length <= bits)) {
    throw new AddressError(`not a CIDR: '${text}'`);
  }
  return { bytes: addressBytes(address), length: bits === 32 ? length + V4_PREFIX_BITS : length };
}

/** The 16-byte mask of a 128-bit prefix length. */
export function maskBytes(length: number): Uint8Array {
  const mask = new Uint8Array(16);
  for (let bit = 0; bit < length; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return mask;
}

/** Whether an address or a whole CIDR lies inside a CIDR. */
export function contains(cidr: Cidr, inner: IpAddress | Cidr): boolean {
  const outer = cidrBytes(cidr);
  const { bytes, length } = inner.includes('/') ? cidrBytes(inner) : { bytes: addressBytes(inner), length: 128 };
  if (length < outer.length) return false;
  const mask = maskBytes(outer.length);
  return mask.every((byte, index) => (((bytes[index] ?? 0) ^ (outer.bytes[index] ?? 0)) & byte) === 0);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b) || contains(b, a);
}

/** The address `offset` above the first of a CIDR, or undefined past its end. */
export function addressAt(cidr: Cidr, offset: bigint): IpAddress | undefined {
  const { bytes, length } = cidrBytes(cidr);
  if (offset >= 1n << BigInt(128 - length)) return undefined;
  let value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) + offset;
  const out = new Uint8Array(16);
  for (let index = 15; index >= 0; index--, value >>= 8n) out[index] = Number(value & 0xffn);
  return formatAddress(out);
}

/** How many addresses a CIDR holds. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << BigInt(128 - cidrBytes(cidr).length);
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return true;
}
