// Compares a type of one BTF with a type of another, field by field.
import { type Btf, type BtfType, describe, isHidden, type Member, resolve, type StructType } from './types.js';

/** A type and the BTF that its id belongs to. */
export interface TypeIn {
  readonly btf: Btf;
  readonly typeId: number;
}

/**
 * What became different from `before` to `after`, in words, e.g. `flow.seen: offset 88 became 92`.
 * Empty when values of one can be read as the other. Names of pads and of types do not matter.
 */
export function layoutDifferences(before: TypeIn, after: TypeIn): string[] {
  const type = resolve(after.btf, after.typeId);
  return compare(before, after, type.name === '' ? type.kind : type.name);
}

function compare(before: TypeIn, after: TypeIn, path: string): string[] {
  const a = resolve(before.btf, before.typeId);
  const b = resolve(after.btf, after.typeId);
  if (isStruct(a) && isStruct(b)) return compareStructs({ ...before, type: a }, { ...after, type: b }, path);
  if (a.kind === 'array' && b.kind === 'array') return compareArrays(before, after, path);
  const was = scalarName(a);
  const is = scalarName(b);
  if (was !== is) return [`${path}: ${was} became ${is}`];
  return a.kind === 'enum' && b.kind === 'enum' ? compareEnums(a.values, b.values, path) : [];
}

interface StructIn {
  readonly btf: Btf;
  readonly type: StructType;
}

function compareStructs(before: StructIn, after: StructIn, path: string): string[] {
  const differences: string[] = [];
  const { size: was } = before.type;
  const { size: is } = after.type;
  if (before.type.kind !== after.type.kind) differences.push(`${path}: ${before.type.kind} became ${after.type.kind}`);
  if (was !== is) differences.push(`${path}: size ${was} became ${is}`);
  const wanted = fieldsOf(after);
  const had = fieldsOf(before);
  for (const name of had.keys()) if (!wanted.has(name)) differences.push(`${path}.${name}: is gone`);
  for (const [name, member] of wanted) {
    const old = had.get(name);
    if (old === undefined) differences.push(`${path}.${name}: is new`);
    else
      differences.push(...compareMembers({ btf: before.btf, old }, { btf: after.btf, old: member }, `${path}.${name}`));
  }
  return differences;
}

interface MemberIn {
  readonly btf: Btf;
  readonly old: Member;
}

function compareMembers(before: MemberIn, after: MemberIn, path: string): string[] {
  const was = before.old.bitOffset / 8;
  const is = after.old.bitOffset / 8;
  const moved = was === is ? [] : [`${path}: offset ${was} became ${is}`];
  const [a, b] = [before, after].map(({ btf, old }) => ({ btf, typeId: old.type }));
  return a === undefined || b === undefined ? moved : [...moved, ...compare(a, b, path)];
}

/** Named members with offsets in the outermost struct: those of anonymous structs and unions are lifted. */
function fieldsOf({ btf, type }: StructIn, base = 0): Map<string, Member> {
  const fields = new Map<string, Member>();
  for (const member of type.members) {
    const lifted = { ...member, bitOffset: base + member.bitOffset };
    const inner = member.name === '' ? resolve(btf, member.type) : undefined;
    if (inner !== undefined && isStruct(inner)) {
      for (const [name, field] of fieldsOf({ btf, type: inner }, lifted.bitOffset)) fields.set(name, field);
    } else if (!isHidden(btf, member)) fields.set(member.name, lifted);
  }
  return fields;
}

function compareArrays(before: TypeIn, after: TypeIn, path: string): string[] {
  const a = resolve(before.btf, before.typeId);
  const b = resolve(after.btf, after.typeId);
  if (a.kind !== 'array' || b.kind !== 'array') return [];
  const length = a.length === b.length ? [] : [`${path}: length ${a.length} became ${b.length}`];
  const elements = compare({ ...before, typeId: a.element }, { ...after, typeId: b.element }, `${path}[]`);
  return [...length, ...elements];
}

type EnumValues = readonly { readonly name: string; readonly value: bigint }[];

/** New names are fine: no stored value has them. */
function compareEnums(before: EnumValues, after: EnumValues, path: string): string[] {
  const now = new Map(after.map(({ name, value }) => [name, value]));
  return before.flatMap(({ name, value }) => {
    const is = now.get(name);
    if (is === value) return [];
    return [`${path}: ${name} ${is === undefined ? 'is gone' : `was ${value} and became ${is}`}`];
  });
}

function isStruct(type: BtfType): type is StructType {
  return type.kind === 'struct' || type.kind === 'union';
}

function scalarName(type: BtfType): string {
  if (type.kind === 'int' && type.bool) return 'bool';
  if (type.kind === 'int') return `${type.signed ? 'signed' : 'unsigned'} ${type.size * 8}-bit integer`;
  if (type.kind === 'enum') return `enum of ${type.size} bytes`;
  if (type.kind === 'float') return `${type.size * 8}-bit float`;
  return type.name === '' ? type.kind : describe(type);
}
