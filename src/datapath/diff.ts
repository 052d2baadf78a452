// What must be written so that a map holds what it should. Pure.
import { canonical, type Table } from './table.js';

export interface Diff<K, V> {
  /** New and changed entries. */
  readonly set: readonly (readonly [K, V])[];
  /** Keys of entries that nobody wants. */
  readonly delete: readonly K[];
}

export function diff<K, V>(have: Table<K, V>, want: Table<K, V>): Diff<K, V> {
  if (have === want) return { set: [], delete: [] };
  return {
    set: [...want].filter(([text, entry]) => !sameValue(have.get(text), entry)).map(([, entry]) => entry),
    delete: [...have].filter(([text]) => !want.has(text)).map(([, [key]]) => key),
  };
}

/** By what it means, not by object. */
export function sameValue<K, V>(a: readonly [K, V] | undefined, b: readonly [K, V]): boolean {
  if (a === b) return true;
  return a !== undefined && canonical(a[1]) === canonical(b[1]);
}
