// `isthmus drop list`: dropped packets by reason and direction, with a sentence for each reason.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Context, openContext } from '../context.js';
import { usage } from '../exit.js';
import { DROP_LIST, DROP_WATCH } from '../fields.js';
import { addGlobalOptions, type Format, globalOptions, parseCount } from '../options.js';
import { printList } from '../output.js';
import { openTables, type Tables } from '../table.js';
import {
  byPackets,
  type DropCounter,
  type DropGrowth,
  type DropItem,
  type DropKey,
  growth,
  viewDrop,
} from '../view/drop.js';

const STREAMING: ReadonlySet<Format> = new Set(['table', 'wide', 'jsonl']);

interface DropOptions {
  readonly watch?: true;
  readonly interval?: number;
}

type DropTables = Tables<DropKey, readonly DropCounter[]>;

/** Adds the verbs of `isthmus drop`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('drop counters since the maps were made, most packets first'))
    .option('-w, --watch', 'then print every counter that grows')
    .option('--interval <seconds>', 'between looks with --watch (default: 1)', parseCount)
    .action(listDrops);
}

async function listDrops({ watch, interval }: DropOptions, command: Command): Promise<void> {
  const { format } = globalOptions(command);
  if (watch === true && !STREAMING.has(format)) throw usage(`--watch never ends: use -o jsonl instead of -o ${format}`);
  const context = await openContext(command);
  using tables = await openTables<DropKey, readonly DropCounter[]>(context.instances, 'drops');
  if (watch !== true) {
    await printList(context.output, DROP_LIST, readDrops(tables));
    return;
  }
  await watchDrops(context, tables, (interval ?? 1) * 1000);
}

function readDrops({ all }: DropTables): DropItem[] {
  const items = all.flatMap(({ instance, table }) => {
    const names = { reasons: table.enumValues('drop_reason'), directions: table.enumValues('direction') };
    return [...table.rows()].map((row) => viewDrop(instance.node, row, names));
  });
  return items.filter((item) => item.packets > 0n).sort(byPackets);
}

/** The first look prints what is there already; each later one only what grew. Ends with the process. */
async function watchDrops({ output }: Context, tables: DropTables, milliseconds: number): Promise<void> {
  await printList(output, DROP_WATCH, looks(tables, milliseconds));
}

async function* looks(tables: DropTables, milliseconds: number): AsyncGenerator<DropGrowth> {
  for (const seen = new Map<string, bigint>(); ; await sleep(milliseconds)) {
    yield* growth(readDrops(tables), seen, new Date());
  }
}
