// BTF bytes to types. Little endian only, as every machine that Isthmus runs on.
import { type Btf, BtfError, type BtfType, type Member, type ReferenceType } from './types.js';

const MAGIC = 0xeb9f;
const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  signature: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

const REFERENCES = new Map<number, ReferenceType['kind']>([
  [KIND.pointer, 'pointer'],
  [KIND.typedef, 'typedef'],
  [KIND.volatile, 'volatile'],
  [KIND.const, 'const'],
  [KIND.restrict, 'restrict'],
  [KIND.function, 'function'],
  [KIND.variable, 'variable'],
  [KIND.declarationTag, 'tag'],
  [KIND.typeTag, 'tag'],
]);

/** What every type starts with. */
interface Head {
  readonly id: number;
  readonly name: string;
  readonly kind: number;
  /** Number of members, values, parameters or variables. */
  readonly count: number;
  /** Meaning depends on the kind, e.g. whether members have bit sizes. */
  readonly flag: boolean;
  /** Bytes, or the id of the type referred to. */
  readonly sizeOrType: number;
}

/** Parses raw BTF, e.g. an object's or /sys/kernel/btf/vmlinux. Throws BtfError. */
export function parseBtf(bytes: Uint8Array): Btf {
  const reader = new Reader(bytes);
  const types: BtfType[] = [{ kind: 'void', id: 0, name: 'void' }];
  while (!reader.done) types.push(readType(reader, types.length));
  return types;
}

/** Reads the type section word by word and names from the string section. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #strings: number;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 24 || this.#view.getUint16(0, true) !== MAGIC) {
      throw new BtfError(`not BTF: ${bytes.length} bytes that do not start with ${MAGIC.toString(16)}`);
    }
    const header = this.#view.getUint32(4, true);
    this.#offset = header + this.#view.getUint32(8, true);
    this.#end = this.#offset + this.#view.getUint32(12, true);
    this.#strings = header + this.#view.getUint32(16, true);
    if (this.#end > bytes.length || this.#strings > bytes.length) throw new BtfError('BTF is cut off');
  }

  get done(): boolean {
    return this.#offset >= this.#end;
  }

  word(): number {
    if (this.#offset + 4 > this.#end) throw new BtfError('BTF is cut off inside a type');
    const value = this.#view.getUint32(this.#offset, true);
    this.#offset += 4;
    return value;
  }

  name(): string {
    const start = this.#strings + this.word();
    const end = this.#bytes.indexOf(0, start);
    let text = '';
    for (let index = start; index < end; index++) text += String.fromCharCode(this.#bytes[index] ?? 0);
    return text;
  }
}

function readType(reader: Reader, id: number): BtfType {
  const name = reader.name();
  const info = reader.word();
  const kind = (info >>> 24) & 0x1f;
  const head: Head = { id, name, kind, count: info & 0xffff, flag: info >>> 31 === 1, sizeOrType: reader.word() };
  const reference = REFERENCES.get(kind);
  return reference === undefined ? readShape(reader, head) : readReference(reader, head, reference);
}

function readReference(reader: Reader, { id, name, kind, sizeOrType }: Head, shape: ReferenceType['kind']): BtfType {
  if (kind === KIND.variable || kind === KIND.declarationTag) reader.word();
  return { kind: shape, id, name, type: sizeOrType };
}

function readShape(reader: Reader, head: Head): BtfType {
  const { id, name, kind, sizeOrType: size } = head;
  switch (kind) {
    case KIND.int:
      return readInt(reader, head);
    case KIND.array:
      return readArray(reader, head);
    case KIND.struct:
      return { kind: 'struct', id, name, size, members: readMembers(reader, head) };
    case KIND.union:
      return { kind: 'union', id, name, size, members: readMembers(reader, head) };
    case KIND.enum:
    case KIND.enum64:
      return readEnum(reader, head);
    case KIND.section:
      return { kind: 'section', id, name, size, variables: repeat(head.count, () => readVariable(reader)) };
    case KIND.float:
      return { kind: 'float', id, name, size };
    case KIND.forward:
      return { kind: 'forward', id, name };
    case KIND.signature:
      repeat(head.count * 2, () => reader.word());
      return { kind: 'signature', id, name };
    default:
      throw new BtfError(`type ${id} has the unknown kind ${kind}: it was made by a newer compiler or kernel`);
  }
}

function readInt(reader: Reader, { id, name, sizeOrType: size }: Head): BtfType {
  const encoding = (reader.word() >>> 24) & 0xf;
  return { kind: 'int', id, name, size, signed: (encoding & 1) !== 0, bool: (encoding & 4) !== 0 };
}

function readArray(reader: Reader, { id, name }: Head): BtfType {
  const element = reader.word();
  reader.word(); // the type of the index
  return { kind: 'array', id, name, element, length: reader.word() };
}

function readMembers(reader: Reader, { count, flag }: Head): Member[] {
  return repeat(count, () => {
    const name = reader.name();
    const type = reader.word();
    const offset = reader.word();
    if (!flag) return { name, type, bitOffset: offset, bitSize: 0 };
    return { name, type, bitOffset: offset & 0xffffff, bitSize: offset >>> 24 };
  });
}

function readEnum(reader: Reader, { id, name, kind, count, flag, sizeOrType: size }: Head): BtfType {
  const wide = kind === KIND.enum64;
  const bits = wide ? 64 : 32;
  const values = repeat(count, () => {
    const label = reader.name();
    const low = BigInt(reader.word());
    const bytes = wide ? low | (BigInt(reader.word()) << 32n) : low;
    return { name: label, value: flag ? BigInt.asIntN(bits, bytes) : bytes };
  });
  return { kind: 'enum', id, name, size, signed: flag, values };
}

function readVariable(reader: Reader): { type: number; offset: number; size: number } {
  return { type: reader.word(), offset: reader.word(), size: reader.word() };
}

function repeat<T>(count: number, read: () => T): T[] {
  const items: T[] = [];
  for (let index = 0; index < count; index++) items.push(read());
  return items;
}
