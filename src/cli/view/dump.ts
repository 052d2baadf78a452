// An entry of any map as an item, and the columns that its fields make.
import type { Column } from '../format.js';
import { isPerCpu } from './map-type.js';

/** An item of MapEntryList. Per-CPU maps give one item a CPU. */
export interface DumpItem {
  readonly node: string;
  readonly key: unknown;
  readonly cpu?: number;
  readonly value: unknown;
}

export interface Entry<T> {
  readonly key: T;
  readonly value: T;
}

export function viewEntry(node: string, { key, value }: Entry<unknown>, mapType: number): DumpItem[] {
  if (!isPerCpu(mapType)) return [{ node, key, value }];
  return (value as readonly unknown[]).map((each, cpu) => ({ node, key, cpu, value: each }));
}

/** Keys and values as hexadecimal bytes, exactly as the kernel holds them. */
export function* rawItems(node: string, table: { rawRows(): Iterable<Entry<Buffer>> }): Generator<DumpItem> {
  for (const { key, value } of table.rawRows()) yield { node, key: key.toString('hex'), value: value.toString('hex') };
}

export const RAW_COLUMNS: readonly Column[] = [
  { header: 'KEY', path: 'key' },
  { header: 'VALUE', path: 'value' },
];

/** A column for each field of an item, with the names that the datapath's own BTF gives. */
export function dumpColumns({ key, cpu, value }: DumpItem): Column[] {
  const cpuColumn: Column[] = cpu === undefined ? [] : [{ header: 'CPU', path: 'cpu', as: 'number' }];
  return [...fieldColumns('key', key), ...cpuColumn, ...fieldColumns('value', value)];
}

function fieldColumns(path: string, value: unknown): Column[] {
  if (!isStruct(value)) return [{ header: path.toUpperCase(), path, as: isNumber(value) ? 'number' : 'text' }];
  return Object.entries(value).flatMap(([name, field]) => fieldColumns(`${path}.${name}`, field));
}

function isStruct(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint';
}
