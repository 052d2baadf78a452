// Turns values into cells and cells into aligned lines; knows nothing of nouns.
import { styleText } from 'node:util';
import { type AddressFilter, formatAddressPort } from './address-port.js';
import type { BackendHits } from './view/hits.js';
import type { Owner } from './view/nat-owner.js';

/** How a value becomes a cell. Numbers are right-aligned. */
export type CellKind =
  | 'text'
  | 'number'
  | 'percent'
  | 'duration'
  | 'tuple'
  | 'tuples'
  | 'hits'
  | 'pod'
  | 'owner'
  | 'list'
  | 'range'
  | 'histogram'
  | 'yes';

/** One column: where its value is in an item, and how it prints. */
export interface Column {
  readonly header: string;
  /** Names of the fields down to the value, separated by dots. */
  readonly path: string;
  readonly as?: CellKind;
  /** Least width, for lists that are printed as they grow. */
  readonly width?: number;
  /** Only with -o wide. */
  readonly wide?: true;
  /** Colours by cell text, on a terminal. */
  readonly colours?: Readonly<Record<string, 'red' | 'green' | 'yellow'>>;
}

const ABSENT = '-';
const RIGHT: ReadonlySet<CellKind> = new Set(['number', 'percent']);

/** The text of a value; a dash when there is none. */
export function formatCell(value: unknown, as: CellKind = 'text'): string {
  if (value === undefined || value === null || value === '') return ABSENT;
  return FORMATTERS[as](value);
}

const FORMATTERS: Readonly<Record<CellKind, (value: unknown) => string>> = {
  text: formatText,
  number: (value) => String(value),
  percent: (value) => `${(value as number).toFixed(1)}%`,
  duration: (value) => formatDuration(value as number),
  tuple: (value) => formatAddressPort(value as AddressFilter),
  tuples: (value) => (value as readonly AddressFilter[]).map(formatAddressPort).join(',') || ABSENT,
  hits: (value) => (value as readonly BackendHits[]).map(formatHits).join(',') || ABSENT,
  owner: (value) => formatOwner(value as Owner),
  pod: (value) => formatPod(value as { namespace: string; name: string }),
  list: (value) => (value as readonly unknown[]).map((item) => formatText(item)).join(',') || ABSENT,
  range: (value) => [value].flat().map(formatRange).join(',') || ABSENT,
  histogram: (value) => formatHistogram(value as readonly HistogramBucket[]),
  yes: (value) => (value === true ? 'yes' : 'no'),
};

/** `10.244.1.2:8080=5` */
function formatHits(hits: BackendHits): string {
  return `${formatAddressPort(hits)}=${hits.connections}`;
}

function formatText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object') return String(value);
  return JSON.stringify(value, jsonValue);
}

function formatPod(pod: { namespace: string; name: string }): string {
  return pod.namespace === '' ? pod.name : `${pod.namespace}/${pod.name}`;
}

/** How often a count was within a range, ends included; without an upper end it is open. */
export interface HistogramBucket {
  readonly from: number;
  readonly to?: number;
  readonly count: bigint;
}

/** `1:120 2:7 5-8:1`: buckets with nothing in them are left out. */
function formatHistogram(buckets: readonly HistogramBucket[]): string {
  const shown = buckets.filter(({ count }) => count > 0n);
  const range = ({ from, to }: HistogramBucket) =>
    to === undefined ? `${from}+` : from === to ? `${from}` : `${from}-${to}`;
  return shown.map((bucket) => `${range(bucket)}:${bucket.count}`).join(' ') || ABSENT;
}

function formatRange(value: unknown): string {
  const { first, last } = value as { first: number; last: number };
  return `${first}-${last}`;
}

function formatOwner(owner: Owner): string {
  if (owner.kind === 'Unknown') return '(no pod of this node)';
  return owner.kind === 'Node' ? `(node ${owner.name})` : formatPod(owner);
}

/** Seconds as kubectl shows an age: two units at most, `45s`, `3m20s`, `5h`, `12d`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  if (total < 120) return `${total}s`;
  if (total < 600) return `${Math.floor(total / 60)}m${total % 60 === 0 ? '' : `${total % 60}s`}`;
  if (total < 7200) return `${Math.floor(total / 60)}m`;
  if (total < 172_800) return `${Math.floor(total / 3600)}h`;
  return `${Math.floor(total / 86_400)}d`;
}

/** JSON.stringify replacer: 64-bit numbers as numbers where a double holds them, else as strings; bytes as hex. */
export function jsonValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return plainBigint(value);
  return isBufferJson(value) ? Buffer.from(value.data).toString('hex') : value;
}

/** Buffers turn themselves into this before a replacer sees them. */
function isBufferJson(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return typeof value === 'object' && value !== null && 'data' in value && 'type' in value && value.type === 'Buffer';
}

function plainBigint(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : String(value);
}

/** The value at a path of field names. */
export function valueAt(item: unknown, names: readonly string[]): unknown {
  let value = item;
  for (const name of names) {
    if (value === undefined || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** Makes the function from an item to its cells, once for a table. */
export function cellsOf(columns: readonly Column[]): (item: unknown) => string[] {
  const paths = columns.map((column) => column.path.split('.'));
  return (item) => columns.map((column, index) => formatCell(valueAt(item, paths[index] ?? []), column.as));
}

/** The widest cell of each column, headers and least widths included. */
export function columnWidths(columns: readonly Column[], rows: readonly (readonly string[])[]): number[] {
  const widths = columns.map((column) => Math.max(column.header.length, column.width ?? 0));
  for (const row of rows) {
    for (let index = 0; index < row.length; index++) {
      const length = row[index]?.length ?? 0;
      if (length > (widths[index] ?? 0)) widths[index] = length;
    }
  }
  return widths;
}

export interface LineLayout {
  readonly columns: readonly Column[];
  readonly widths: readonly number[];
  readonly colour: boolean;
}

/** One line: cells padded to their widths, three spaces apart, nothing behind the last. */
export function formatLine(cells: readonly string[], { columns, widths, colour }: LineLayout): string {
  let line = '';
  const last = cells.length - 1;
  for (let index = 0; index <= last; index++) {
    const cell = cells[index] ?? '';
    const column = columns[index];
    const width = widths[index] ?? 0;
    const right = column?.as !== undefined && RIGHT.has(column.as);
    const padded = right ? cell.padStart(width) : index === last ? cell : cell.padEnd(width);
    line += colour && column?.colours !== undefined ? paint(padded, cell, column) : padded;
    if (index < last) line += '   ';
  }
  return line;
}

function paint(padded: string, cell: string, column: Column): string {
  const colour = column.colours?.[cell];
  return colour === undefined ? padded : styleText(colour, padded, { validateStream: false });
}
