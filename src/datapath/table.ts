// The contents of one map, comparable entry by entry.

/** Entries by the canonical text of their key. */
export type Table<K, V> = ReadonlyMap<string, readonly [K, V]>;

/** Builds a table; of two entries with one key the first stays. */
export function toTable<K, V>(entries: Iterable<readonly [K, V]>): Map<string, readonly [K, V]> {
  const table = new Map<string, readonly [K, V]>();
  for (const entry of entries) {
    const text = canonical(entry[0]);
    if (!table.has(text)) table.set(text, entry);
  }
  return table;
}

/** One text for one value: fields in alphabetical order, padding left out, because decoders may or may not show it. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(' ')}]`;
  let text = '';
  for (const name of fieldsOf(value)) {
    text += `${text === '' ? '' : ' '}${name}=${canonical((value as Record<string, unknown>)[name])}`;
  }
  return text;
}

/** Sorted once for each kind of struct, not for each of a hundred thousand entries. */
const sortedFields = new Map<string, readonly string[]>();

function fieldsOf(value: object): readonly string[] {
  const names = Object.keys(value);
  const shape = names.join();
  const known = sortedFields.get(shape);
  if (known !== undefined) return known;
  const fields = names.filter((name) => !/^pad\d*$/.test(name)).sort();
  sortedFields.set(shape, fields);
  return fields;
}
