// Names the bits of a flags field with the enum that the datapath's own BTF holds.

/** One value of a C enum. */
export interface EnumValue {
  readonly name: string;
  readonly value: number;
}

/** Decodes flags into lower-case names without their common prefix; bits without a name as hex. */
export type FlagDecoder = (flags: number) => readonly string[];

/** Results are shared by value, since a table holds few distinct combinations. */
export function createFlagDecoder(values: readonly EnumValue[], prefix: string): FlagDecoder {
  const known = new Map<number, readonly string[]>();
  return (flags) => {
    const found = known.get(flags) ?? decode(flags, values, prefix);
    known.set(flags, found);
    return found;
  };
}

function decode(flags: number, values: readonly EnumValue[], prefix: string): string[] {
  const set = values.filter(({ value }) => value !== 0 && (flags & value) === value);
  const names = set.map(({ name }) => name.replace(prefix, '').toLowerCase());
  const rest = set.reduce((bits, { value }) => bits & ~value, flags);
  return rest === 0 ? names : [...names, `0x${rest.toString(16)}`];
}

/** The lower-case name of an enum's value without its prefix; the number when the enum has no such value. */
export function enumName(value: number | string, values: readonly EnumValue[], prefix: string): string {
  const name = typeof value === 'string' ? value : values.find((each) => each.value === value)?.name;
  return name === undefined ? String(value) : name.replace(prefix, '').toLowerCase();
}
