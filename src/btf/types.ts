// The types that BTF describes, one interface a shape (Documentation/bpf/btf.rst of the kernel).

interface Named {
  readonly id: number;
  /** Empty when anonymous. */
  readonly name: string;
}

export interface VoidType extends Named {
  readonly kind: 'void';
}

export interface IntType extends Named {
  readonly kind: 'int';
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly bool: boolean;
}

export interface FloatType extends Named {
  readonly kind: 'float';
  readonly size: number;
}

export interface ArrayType extends Named {
  readonly kind: 'array';
  readonly element: number;
  readonly length: number;
}

export interface Member {
  /** Empty for an anonymous struct or union, whose members then belong to the outer one. */
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 when it is not a bit field. */
  readonly bitSize: number;
}

export interface StructType extends Named {
  readonly kind: 'struct' | 'union';
  readonly size: number;
  readonly members: readonly Member[];
}

export interface EnumType extends Named {
  readonly kind: 'enum';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

/** Another type with a name or a qualifier, or something that points to it. */
export interface ReferenceType extends Named {
  readonly kind: 'pointer' | 'typedef' | 'const' | 'volatile' | 'restrict' | 'function' | 'variable' | 'tag';
  readonly type: number;
}

/** A section of global variables. */
export interface SectionType extends Named {
  readonly kind: 'section';
  readonly size: number;
  /** `type` is the id of a variable. */
  readonly variables: readonly { readonly type: number; readonly offset: number; readonly size: number }[];
}

/** Has no size: a function's signature or a forward declaration. */
export interface OpaqueType extends Named {
  readonly kind: 'signature' | 'forward';
}

export type BtfType =
  | VoidType
  | IntType
  | FloatType
  | ArrayType
  | StructType
  | EnumType
  | ReferenceType
  | SectionType
  | OpaqueType;

/** All types of one object or of the kernel; the index is the type id, 0 is void. */
export type Btf = readonly BtfType[];

/** BTF that cannot be read, or a type that is not in it. */
export class BtfError extends Error {
  readonly code = 'ERR_BTF';
}

/** Throws BtfError when there is no type with this id. */
export function typeOf(btf: Btf, id: number): BtfType {
  const type = btf[id];
  if (type === undefined) throw new BtfError(`no type ${id} in BTF with ${btf.length} types`);
  return type;
}

/** The type behind const, volatile, restrict, tags, variables and typedefs. */
export function resolve(btf: Btf, id: number): BtfType {
  let type = typeOf(btf, id);
  while ('type' in type && type.kind !== 'pointer' && type.kind !== 'function') type = typeOf(btf, type.type);
  return type;
}

/** Bytes of a value of this type. */
export function sizeOf(btf: Btf, id: number): number {
  const type = resolve(btf, id);
  if (type.kind === 'array') return type.length * sizeOf(btf, type.element);
  if (type.kind === 'pointer') return 8;
  if ('size' in type) return type.size;
  throw new BtfError(`${describe(type)} has no size`);
}

/** Names a type as C does, e.g. `struct flow`. */
export function describe(type: BtfType): string {
  return type.name === '' ? `anonymous ${type.kind} (type ${type.id})` : `${type.kind} ${type.name}`;
}

/**
 * Whether a member is no part of a value: it fills a hole (pad, pad0, ...), or belongs to the kernel, which shows it
 * to nobody (struct bpf_timer, struct bpf_spin_lock).
 */
export function isHidden(btf: Btf, { name, type }: Member): boolean {
  if (/^pad\d*$/.test(name)) return true;
  const plain = resolve(btf, type);
  return plain.kind === 'struct' && /^bpf_(timer|spin_lock|wq|list_|rb_|refcount)/.test(plain.name);
}

/** Finds a type by name and shape; undefined when there is none. */
export function findType<K extends BtfType['kind']>(
  btf: Btf,
  kind: K,
  name: string,
): (BtfType & { readonly kind: K }) | undefined {
  return btf.find((type): type is BtfType & { readonly kind: K } => type.kind === kind && type.name === name);
}
