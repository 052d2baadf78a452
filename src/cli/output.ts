// Prints a list of items in the wanted format, streaming: data to stdout, narration to stderr.
import type { Writable } from 'node:stream';
import { type Column, cellsOf, columnWidths, formatLine, jsonValue, type LineLayout } from './format.js';
import type { Format } from './options.js';

/** A list of one noun: its name in JSON, what an empty one says, and its columns. */
export interface Noun {
  /** e.g. `FlowList` */
  readonly kind: string;
  /** e.g. `No flows.` */
  readonly empty: string;
  readonly columns: readonly Column[];
  /** The list goes on as things happen: every item is printed at once, and columns have fixed widths. */
  readonly live?: true;
}

export interface Output {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly format: Format;
  readonly headers: boolean;
  /** Shows the NODE column: several nodes answer. */
  readonly nodes: boolean;
  readonly colour: boolean;
}

export type Items = Iterable<object> | AsyncIterable<object>;

const API_VERSION = 'isthmus.dev/v1';
/** Rows whose widths decide the columns; later rows that are wider only push their own line. */
const MEASURED_ROWS = 1000;
const BUFFERED_BYTES = 64 * 1024;

/** Prints the items and returns how many there were. An empty list says so on stderr. */
export async function printList(output: Output, noun: Noun, items: Items): Promise<number> {
  const sink = createSink(output.stdout, noun.live === true ? 0 : BUFFERED_BYTES);
  const count = await PRINTERS[output.format]({ output, noun, sink }, items);
  await sink.flush();
  if (count === 0 && noun.empty !== '') output.stderr.write(`${noun.empty}\n`);
  return count;
}

/** Prints items as lines of JSON, whatever the wanted format is. */
export async function printLines({ stdout }: Pick<Output, 'stdout'>, items: Items): Promise<number> {
  const sink = createSink(stdout, BUFFERED_BYTES);
  const count = await printJsonLinesTo(sink, items);
  await sink.flush();
  return count;
}

/** Says something to a person, beside the data. */
export function note(output: Pick<Output, 'stderr'>, text: string): void {
  output.stderr.write(`note: ${text}\n`);
}

interface Print {
  readonly output: Output;
  readonly noun: Noun;
  readonly sink: Sink;
}

type Printer = (print: Print, items: Items) => Promise<number>;

const PRINTERS: Readonly<Record<Format, Printer>> = {
  table: printTable,
  wide: printTable,
  json: printJson,
  jsonl: printJsonLines,
  yaml: printYaml,
};

async function printTable({ output, noun, sink }: Print, items: Items): Promise<number> {
  const columns = visibleColumns(output, noun.columns);
  const cells = cellsOf(columns);
  const measured: string[][] = [];
  const target = noun.live === true ? 0 : MEASURED_ROWS;
  let layout: LineLayout | undefined;
  let count = 0;
  for await (const item of items) {
    const row = cells(item);
    if (count++ < target) measured.push(row);
    if (count < target) continue;
    if (layout === undefined) layout = await beginTable({ output, noun: { ...noun, columns }, sink }, measured);
    if (count > target && sink.add(`${formatLine(row, layout)}\n`)) await sink.flush();
  }
  if (layout === undefined && count > 0) await beginTable({ output, noun: { ...noun, columns }, sink }, measured);
  return count;
}

/** Prints the header and the rows that decided the widths. */
async function beginTable({ output, noun, sink }: Print, rows: readonly string[][]): Promise<LineLayout> {
  const layout = { columns: noun.columns, widths: columnWidths(noun.columns, rows), colour: output.colour };
  if (output.headers) await sink.write(headerLine(layout));
  for (const row of rows) await sink.write(`${formatLine(row, layout)}\n`);
  return layout;
}

function headerLine(layout: LineLayout): string {
  return `${formatLine(
    layout.columns.map((column) => column.header),
    { ...layout, colour: false },
  )}\n`;
}

function visibleColumns({ format, nodes }: Output, columns: readonly Column[]): Column[] {
  const shown = columns.filter((column) => column.wide !== true || format === 'wide');
  if (columns.some((column) => column.path === NODE_COLUMN.path)) return shown;
  return nodes || format === 'wide' ? [NODE_COLUMN, ...shown] : shown;
}

const NODE_COLUMN: Column = { header: 'NODE', path: 'node' };

async function printJson({ noun, sink }: Print, items: Items): Promise<number> {
  await sink.write(`{\n  "apiVersion": "${API_VERSION}",\n  "kind": "${noun.kind}",\n  "items": [`);
  let count = 0;
  for await (const item of items) {
    if (sink.add(`${count++ === 0 ? '' : ','}\n    ${JSON.stringify(item, jsonValue)}`)) await sink.flush();
  }
  await sink.write(count === 0 ? ']\n}\n' : '\n  ]\n}\n');
  return count;
}

function printJsonLines({ sink }: Print, items: Items): Promise<number> {
  return printJsonLinesTo(sink, items);
}

async function printJsonLinesTo(sink: Sink, items: Items): Promise<number> {
  let count = 0;
  for await (const item of items) {
    count++;
    if (sink.add(`${JSON.stringify(item, jsonValue)}\n`)) await sink.flush();
  }
  return count;
}

/** A yaml document is written item by item too: a list of one is the text of an item inside the list. */
async function printYaml({ noun, sink }: Print, items: Items): Promise<number> {
  const { stringify } = await import('yaml');
  await sink.write(`apiVersion: ${API_VERSION}\nkind: ${noun.kind}\nitems:`);
  let count = 0;
  for await (const item of items) {
    const plain: unknown = JSON.parse(JSON.stringify(item, jsonValue));
    const text = stringify([plain], { lineWidth: 0, aliasDuplicateObjects: false }).replace(/^(?=.)/gm, '  ');
    if (sink.add(`${count++ === 0 ? '\n' : ''}${text}`)) await sink.flush();
  }
  if (count === 0) await sink.write(' []\n');
  return count;
}

interface Sink {
  /** Buffers; true says that it is time to flush. */
  add(text: string): boolean;
  /** Hands the buffered text to the stream and waits until it takes more. */
  flush(): Promise<void>;
  write(text: string): Promise<void>;
}

function createSink(stream: Writable, capacity: number): Sink {
  let buffered: string[] = [];
  let length = 0;
  const add = (text: string): boolean => {
    buffered.push(text);
    length += text.length;
    return length > capacity;
  };
  const flush = async (): Promise<void> => {
    if (length === 0) return;
    const text = buffered.join('');
    buffered = [];
    length = 0;
    await new Promise<void>((resolve, reject) => {
      stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
  };
  const write = async (text: string): Promise<void> => {
    if (add(text)) await flush();
  };
  return { add, flush, write };
}
