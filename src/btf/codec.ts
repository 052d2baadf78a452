// BTF types to codecs: bytes to plain objects with the C field names, and back.
//
// Integers up to 32 bits are numbers, 64 bits are bigint; bool is boolean; an enum is the name of its value, or a
// number when it has none; char arrays are text, __u8 arrays are Buffers, other arrays are arrays. Anonymous structs
// and unions show their members as the outer struct's own. Pads and the kernel's own fields are no part of a value.
import { pathed, requireByte, requireRange, requireSize } from './check.js';
import { type Field, type Semantics, windowOf } from './field.js';
import { scalarFields } from './scalar.js';
import {
  type Btf,
  BtfError,
  describe,
  isHidden,
  type Member,
  resolve,
  type StructType,
  sizeOf,
  typeOf,
} from './types.js';

/** Encodes and decodes one type. All methods throw RangeError when bytes are missing or a value does not fit. */
export interface Codec<T = unknown> {
  readonly size: number;
  decode(bytes: Uint8Array, offset?: number): T;
  /** `count` values, `stride` bytes (the size when absent) from one to the next. */
  decodeMany(bytes: Uint8Array, count: number, stride?: number): T[];
  /** A new buffer. A struct's every field must be there, except pads and members of unions. */
  encode(value: T): Buffer;
  encodeInto(value: T, bytes: Uint8Array, offset: number): void;
}

/** Makes codecs by type id; each is made once. */
export type Codecs = <T = unknown>(typeId: number) => Codec<T>;

export function createCodecs(btf: Btf, semantics: Semantics): Codecs {
  const fields = new FieldTable(btf, semantics);
  const codecs = new Map<number, Codec<unknown>>();
  return <T>(typeId: number) => {
    const codec = codecs.get(typeId) ?? createCodec(sizeOf(btf, typeId), fields.of(typeId));
    codecs.set(typeId, codec);
    return codec as Codec<T>;
  };
}

function createCodec(size: number, field: Field): Codec {
  return {
    size,
    decode(bytes, offset = 0) {
      requireSize(bytes, offset + size);
      return field.decode(windowOf(bytes), offset);
    },
    decodeMany(bytes, count, stride = size) {
      if (count > 0) requireSize(bytes, (count - 1) * stride + size);
      const window = windowOf(bytes);
      const values = new Array<unknown>(count);
      for (let index = 0; index < count; index++) values[index] = field.decode(window, index * stride);
      return values;
    },
    encode(value) {
      const bytes = Buffer.alloc(size);
      field.encode(windowOf(bytes), 0, value);
      return bytes;
    },
    encodeInto(value, bytes, offset) {
      requireSize(bytes, offset + size);
      bytes.fill(0, offset, offset + size);
      field.encode(windowOf(bytes), offset, value);
    },
  };
}

/** Fields by type id, each made once. */
class FieldTable {
  readonly #btf: Btf;
  readonly #semantics: Semantics;
  readonly #fields = new Map<number, Field>();

  constructor(btf: Btf, semantics: Semantics) {
    this.#btf = btf;
    this.#semantics = semantics;
  }

  of(typeId: number): Field {
    const field = this.#fields.get(typeId) ?? this.#make(typeId);
    this.#fields.set(typeId, field);
    return field;
  }

  #make(typeId: number): Field {
    const type = typeOf(this.#btf, typeId);
    if (type.kind === 'typedef') {
      const semantic = this.#semantics[type.name];
      if (semantic !== undefined && semantic.size === sizeOf(this.#btf, typeId)) return semantic;
    }
    if ('type' in type && type.kind !== 'pointer' && type.kind !== 'function') return this.of(type.type);
    if (type.kind === 'array') return this.#array(type.element, type.length);
    if (type.kind === 'struct' || type.kind === 'union') return structField(this.#named(type));
    const scalar = scalarFields(type);
    if (scalar === undefined) throw new BtfError(`${describe(type)} has no codec`);
    return scalar;
  }

  #array(element: number, length: number): Field {
    const plain = resolve(this.#btf, element);
    const isMeant = typeOf(this.#btf, element).kind === 'typedef' && this.of(element) !== this.of(plain.id);
    if (plain.kind === 'int' && plain.size === 1 && !plain.bool && !isMeant) {
      return plain.name === 'char' ? textField(length) : bytesField(length);
    }
    return arrayField(this.of(element), sizeOf(this.#btf, element), length);
  }

  /** Members by name, those of anonymous structs and unions among them. */
  #named(type: StructType, base = 0, optional = type.kind === 'union'): NamedField[] {
    return type.members.flatMap((member) => this.#member(member, base, optional));
  }

  #member(member: Member, base: number, optional: boolean): NamedField[] {
    if (isHidden(this.#btf, member)) return [];
    if (member.bitSize !== 0) throw new BtfError(`bit field ${member.name}: bit fields are not supported`);
    const offset = base + member.bitOffset / 8;
    if (member.name !== '') return [{ name: member.name, offset, optional, field: this.of(member.type) }];
    const inner = resolve(this.#btf, member.type);
    if (inner.kind !== 'struct' && inner.kind !== 'union') throw new BtfError(`${describe(inner)} has no name`);
    return this.#named(inner, offset, optional || inner.kind === 'union');
  }
}

interface NamedField {
  readonly name: string;
  readonly offset: number;
  /** Members of a union: writing one of them is enough. */
  readonly optional: boolean;
  readonly field: Field;
}

function structField(fields: readonly NamedField[]): Field {
  return {
    decode(window, offset) {
      const value: Record<string, unknown> = {};
      for (const { name, offset: at, field } of fields) value[name] = field.decode(window, offset + at);
      return value;
    },
    encode(window, offset, value) {
      if (typeof value !== 'object' || value === null) throw new RangeError(`${String(value)} is not an object`);
      const members = value as Readonly<Record<string, unknown>>;
      for (const { name, offset: at, optional, field } of fields) {
        const member = members[name];
        if (member === undefined && optional) continue;
        pathed(name, () => field.encode(window, offset + at, member));
      }
    },
  };
}

function arrayField(element: Field, size: number, length: number): Field {
  return {
    decode(window, offset) {
      const values = new Array<unknown>(length);
      for (let index = 0; index < length; index++) values[index] = element.decode(window, offset + index * size);
      return values;
    },
    encode(window, offset, value) {
      if (!Array.isArray(value)) throw new RangeError(`${String(value)} is not an array`);
      requireRange(value.length, { length }, 'elements');
      value.forEach((item, index) => {
        pathed(`[${index}]`, () => element.encode(window, offset + index * size, item));
      });
    },
  };
}

function bytesField(length: number): Field {
  return {
    decode: ({ bytes }, offset) => Buffer.from(bytes.subarray(offset, offset + length)),
    encode({ bytes }, offset, value) {
      if (!(value instanceof Uint8Array) && !Array.isArray(value))
        throw new RangeError(`${String(value)} is not bytes`);
      requireRange(value.length, { length }, 'bytes');
      value.forEach(requireByte);
      bytes.set(value as ArrayLike<number>, offset);
    },
  };
}

/** Text ends at the first zero byte, or fills the array. */
function textField(length: number): Field {
  return {
    decode({ bytes }, offset) {
      const end = bytes.indexOf(0, offset);
      const last = end === -1 || end > offset + length ? offset + length : end;
      return Buffer.from(bytes.buffer, bytes.byteOffset + offset, last - offset).toString('utf8');
    },
    encode({ bytes }, offset, value) {
      if (typeof value !== 'string') throw new RangeError(`${String(value)} is not text`);
      const text = Buffer.from(value, 'utf8');
      if (text.length > length) throw new RangeError(`'${value}' is longer than ${length} bytes`);
      bytes.set(text, offset);
    },
  };
}
