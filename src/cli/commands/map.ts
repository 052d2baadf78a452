// `isthmus map list` and `isthmus map dump`: the pinned BPF maps, decoded with the BTF of each map itself.
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { usage } from '../exit.js';
import { MAP_LIST } from '../fields.js';
import { limited } from '../limit.js';
import { addGlobalOptions, parseCount } from '../options.js';
import { type Noun, printList } from '../output.js';
import { listPins } from '../pins.js';
import { openTables, type Table, type Tables } from '../table.js';
import { type DumpItem, dumpColumns, RAW_COLUMNS, rawItems, viewEntry } from '../view/dump.js';
import { viewMap } from '../view/map.js';
import { isWalkable } from '../view/map-type.js';

interface DumpOptions {
  readonly raw?: true;
  readonly limit?: number;
}

/** Adds the verbs of `isthmus map`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('maps with how full they are')).action(listMaps);
  addGlobalOptions(command.command('dump').description('every entry of a map, every field by name'))
    .argument('<map>', 'name of the map, as in `isthmus map list`')
    .option('--raw', 'keys and values as hexadecimal bytes')
    .option('--limit <n>', 'stop after so many', parseCount)
    .action(dumpMap);
}

async function listMaps(_options: object, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  await printList(output, MAP_LIST, (await Promise.all(instances.map(readMaps))).flat());
}

async function readMaps(instance: Instance): Promise<object[]> {
  const items: object[] = [];
  for (const name of await listPins(instance)) {
    using tables = await openTables<unknown, unknown>([instance], name);
    items.push(...tables.all.map(({ table }) => ({ node: instance.node, ...viewMap(name, table) })));
  }
  return items;
}

async function dumpMap(name: string, { raw, limit }: DumpOptions, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  using tables = await openTables<unknown, unknown>(instances, name);
  for (const { table } of tables.all) requireWalkable(name, table);
  const items = entries(tables, raw === true);
  const first = items.next();
  const columns = first.done === true ? [] : raw === true ? RAW_COLUMNS : dumpColumns(first.value);
  const noun: Noun = { kind: 'MapEntryList', empty: `No entries in ${name}.`, columns };
  await printList(output, noun, limited(resume(first, items), limit, output));
}

function requireWalkable(name: string, table: Table<unknown, unknown>): void {
  if (!isWalkable(table.info.type)) throw usage(`map '${name}' has no entries to dump: it is read as a stream`);
}

function* entries({ all }: Tables<unknown, unknown>, raw: boolean): Generator<DumpItem> {
  for (const { instance, table } of all) {
    if (raw) yield* rawItems(instance.node, table);
    else for (const row of table.rows()) yield* viewEntry(instance.node, row, table.info.type);
  }
}

/** The first item, which decided the columns, and then the others. */
function* resume<T>(first: IteratorResult<T, unknown>, rest: Iterable<T>): Generator<T> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}
