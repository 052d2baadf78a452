// What the typedef names of bpf/lib/types.h mean to user space: addresses are text, __be16 and __be32 host numbers.
import type { Semantic, Semantics } from '../btf/field.js';
import { addressBytes } from '../model/address.js';

/** Canonical text, as src/model/address.ts has it: a v4-mapped address is dotted IPv4. */
const ADDRESS: Semantic = {
  size: 16,
  typescript: 'string',
  decode({ bytes, view }, offset) {
    const mapped = view.getUint32(offset + 8) === 0xffff && view.getBigUint64(offset) === 0n;
    if (!mapped) return formatIpv6(view, offset);
    return `${bytes[offset + 12]}.${bytes[offset + 13]}.${bytes[offset + 14]}.${bytes[offset + 15]}`;
  },
  encode({ bytes }, offset, value) {
    if (typeof value !== 'string') throw new RangeError(`${String(value)} is not an address`);
    bytes.set(addressBytes(value), offset);
  },
};

const MAC: Semantic = {
  size: 6,
  typescript: 'string',
  decode({ bytes }, offset) {
    let text = hexByte(bytes[offset]);
    for (let index = 1; index < 6; index++) text += `:${hexByte(bytes[offset + index])}`;
    return text;
  },
  encode({ bytes }, offset, value) {
    if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value)) {
      throw new RangeError(`'${String(value)}' is not a MAC address`);
    }
    for (let index = 0; index < 6; index++) bytes[offset + index] = Number.parseInt(value.slice(index * 3), 16);
  },
};

/** Network order in the bytes, host meaning in the number. */
const PORT: Semantic = {
  size: 2,
  typescript: 'number',
  decode: ({ view }, offset) => view.getUint16(offset),
  encode: ({ view }, offset, value) => view.setUint16(offset, unsigned(value, 0xffff)),
};

const NETWORK_WORD: Semantic = {
  size: 4,
  typescript: 'number',
  decode: ({ view }, offset) => view.getUint32(offset),
  encode: ({ view }, offset, value) => view.setUint32(offset, unsigned(value, 0xffff_ffff)),
};

export const SEMANTICS: Semantics = {
  ip_addr: ADDRESS,
  mac_addr: MAC,
  __be16: PORT,
  __be32: NETWORK_WORD,
};

function unsigned(value: unknown, limit: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limit) return value;
  throw new RangeError(`${String(value)} is not an integer from 0 to ${limit}`);
}

function hexByte(byte = 0): string {
  return (byte < 16 ? '0' : '') + byte.toString(16);
}

/** RFC 5952 text: the longest run of two or more zero groups becomes `::`, the first of equals. */
function formatIpv6(view: DataView, offset: number): string {
  const { start, length } = longestZeros(view, offset);
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === start) {
      text += '::';
      group += length - 1;
    } else {
      text += (text === '' || text.endsWith(':') ? '' : ':') + view.getUint16(offset + group * 2).toString(16);
    }
  }
  return text;
}

function longestZeros(view: DataView, offset: number): { start: number; length: number } {
  let best = { start: -1, length: 1 };
  let run = 0;
  for (let group = 0; group < 8; group++) {
    run = view.getUint16(offset + group * 2) === 0 ? run + 1 : 0;
    if (run > best.length) best = { start: group - run + 1, length: run };
  }
  return best;
}
