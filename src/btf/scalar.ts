// Codecs of single values: integers, booleans, enums, pointers, floats.
import type { Field } from './field.js';
import type { BtfType, EnumType } from './types.js';

/** undefined when the type is not a single value. */
export function scalarFields(type: BtfType): Field | undefined {
  if (type.kind === 'int') return type.bool ? BOOL : integerField(type.size, type.signed);
  if (type.kind === 'enum') return enumField(type);
  if (type.kind === 'pointer') return integerField(8, false);
  if (type.kind === 'float') return floatField(type.size);
  return undefined;
}

const BOOL: Field = {
  decode: ({ view }, offset) => view.getUint8(offset) !== 0,
  encode({ view }, offset, value) {
    if (typeof value !== 'boolean') throw new RangeError(`${String(value)} is not a boolean`);
    view.setUint8(offset, value ? 1 : 0);
  },
};

/** An integer in the machine's order (little endian); 64 bits are a bigint. */
export function integerField(size: number, signed: boolean): Field | undefined {
  const bits = size * 8;
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const check = (value: unknown): number => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
    throw new RangeError(`${String(value)} is not an integer from ${low} to ${high}`);
  };
  switch (size) {
    case 1:
      return {
        decode: signed ? (w, at) => w.view.getInt8(at) : (w, at) => w.bytes[at],
        encode: (w, at, value) => w.view.setInt8(at, check(value)),
      };
    case 2:
      return {
        decode: signed ? (w, at) => w.view.getInt16(at, true) : (w, at) => w.view.getUint16(at, true),
        encode: (w, at, value) => w.view.setInt16(at, check(value), true),
      };
    case 4:
      return {
        decode: signed ? (w, at) => w.view.getInt32(at, true) : (w, at) => w.view.getUint32(at, true),
        encode: (w, at, value) => w.view.setInt32(at, check(value), true),
      };
    case 8:
      return wideField(signed);
    default:
      return undefined;
  }
}

function wideField(signed: boolean): Field {
  const low = signed ? -(2n ** 63n) : 0n;
  const high = signed ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  return {
    decode: signed ? (w, at) => w.view.getBigInt64(at, true) : (w, at) => w.view.getBigUint64(at, true),
    encode({ view }, offset, value) {
      if (typeof value !== 'bigint' || value < low || value > high) {
        throw new RangeError(`${String(value)} is not a bigint from ${low} to ${high}`);
      }
      view.setBigInt64(offset, value, true);
    },
  };
}

/** Names where there is one; a number (a bigint for 8 bytes) where the enum does not know the value. */
function enumField({ name, size, signed, values }: EnumType): Field | undefined {
  const plain = integerField(size, signed);
  if (plain === undefined) return undefined;
  const typed = size === 8 ? (value: bigint): bigint | number => value : Number;
  const names = new Map(values.toReversed().map((entry) => [typed(entry.value) as unknown, entry.name]));
  const numbers = new Map(values.map((entry) => [entry.name, typed(entry.value)]));
  return {
    decode(window, offset) {
      const value = plain.decode(window, offset);
      return names.get(value) ?? value;
    },
    encode(window, offset, value) {
      const number = typeof value === 'string' ? numbers.get(value) : value;
      if (number === undefined) throw new RangeError(`'${String(value)}' is not a value of enum ${name}`);
      plain.encode(window, offset, number);
    },
  };
}

function floatField(size: number): Field | undefined {
  if (size !== 4 && size !== 8) return undefined;
  return {
    decode: ({ view }, offset) => (size === 4 ? view.getFloat32(offset, true) : view.getFloat64(offset, true)),
    encode({ view }, offset, value) {
      if (typeof value !== 'number') throw new RangeError(`${String(value)} is not a number`);
      if (size === 4) view.setFloat32(offset, value, true);
      else view.setFloat64(offset, value, true);
    },
  };
}
