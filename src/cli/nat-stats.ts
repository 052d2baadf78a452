// Gathers `nat stats` of one instance: from its maps, and from its journal.
import { uptime } from 'node:os';
import type { Instance } from '../api/instances.js';
import { bytesSince, openJournal } from '../api/journal-reader.js';
import { JournalReadError } from '../api/journal-segments.js';
import type { IpAddress } from '../model/address.js';
import { isOf } from '../model/block-grant.js';
import type { BlockHistory } from '../model/block-history.js';
import { type FlowTable, rankTalkers, type Talker, usedPercent } from '../model/flow-table.js';
import { DEFAULT_REUSE_HOLD } from '../model/network.js';
import { countBlocks, isUsable } from '../model/port-blocks.js';
import { readFlowTable } from './flow-table.js';
import { scanFlows } from './flows.js';
import { journalOf } from './journals.js';
import { readPortBlocks } from './port-blocks.js';
import { readShortages } from './shortages.js';
import { openTable } from './table.js';
import type { FlowKey, FlowValue } from './view/flow.js';
import { blockOwner } from './view/nat-owner.js';
import {
  type NatAddressItem,
  type NatChoices,
  type NatCounter,
  type NatPortsItem,
  type ShortageItem,
  UsageIndex,
  viewAddresses,
  viewChoices,
} from './view/nat-stats.js';
import { indexPods } from './view/pods.js';
import { viewTranslation } from './view/translation.js';

/** An item of NatStatsList. */
export interface NatStatsItem {
  readonly node: string;
  readonly addresses: readonly NatAddressItem[];
  readonly owners: readonly NatPortsItem[];
  /** Pods that found no port, the last first. */
  readonly shortages: readonly ShortageItem[];
  readonly choices: NatChoices;
  /** Absent where the datapath does not count yet. */
  readonly flowTable?: { readonly entries: number; readonly maxEntries: number; readonly usedPercent: number };
  /** Who has the most flows first. */
  readonly talkers: readonly TalkerItem[];
  /** Absent when there is no journal. */
  readonly journal?: JournalStats;
}

export interface JournalStats {
  readonly directory: string;
  /** RFC 3339. */
  readonly begins?: string;
  readonly segments: number;
  readonly bytes: number;
  readonly bytesSinceBoot: number;
  /** Bytes since boot by translated flows since then; absent before the first thousand. */
  readonly bytesPerMillionFlows?: number;
}

export interface TalkerItem extends Talker {
  readonly node: string;
}

/** Milliseconds: the age of the maps is at most that of the boot. */
const BOOT_MARGIN = 1000;
/** Fewer say nothing about a million. */
const FLOWS_FOR_RATE = 1000;
/** The rest is not what fills a table. */
const TALKERS = 10;

/** Throws CliError when the maps cannot be read. */
export async function readNatStats(instance: Instance): Promise<NatStatsItem> {
  const { node, state } = instance;
  const blocks = await readPortBlocks(instance);
  const index = new UsageIndex(blocks);
  await countFlows(index, instance);
  const choices = await readChoices(instance);
  const table = await readFlowTable(instance);
  const known = { node, blocks, pods: indexPods(instance.endpoints) };
  const { held, ...rest } = readJournal(instance, choices);
  const grid = { natPorts: state.natPorts, blockSize: state.blockSize, reservedPorts: state.reservedPorts ?? [] };
  const numbers = Array.from({ length: countBlocks(grid) }, (_, block) => block);
  return {
    node,
    addresses: viewAddresses({
      node,
      usages: index.all,
      addresses: blocks.filter(({ host }) => host).map(({ address }) => address),
      total: numbers.filter((block) => isUsable(grid, block)).length,
      blockSize: state.blockSize,
      held,
    }),
    owners: index.all.map((usage) => usage.view(node, blockOwner(usage.block, known))).sort(byOwner),
    shortages: await readShortages(instance),
    choices,
    ...viewTable(instance, table),
    ...rest,
  };
}

function viewTable(
  { node, endpoints, state }: Instance,
  table: FlowTable | undefined,
): Pick<NatStatsItem, 'flowTable' | 'talkers'> {
  if (table === undefined) return { talkers: [] };
  const talkers = rankTalkers(table, { endpoints, uplink: state.uplink }).slice(0, TALKERS);
  return {
    flowTable: { entries: table.entries, maxEntries: table.maxEntries, usedPercent: usedPercent(table) },
    talkers: talkers.map((talker) => ({ node, ...talker })),
  };
}

async function countFlows(index: UsageIndex, instance: Instance): Promise<void> {
  using table = await openTable<FlowKey, FlowValue>(instance, 'flows');
  for (const flow of scanFlows(table, instance)) {
    const item = viewTranslation(flow);
    if (item !== undefined) index.add(item);
  }
}

async function readChoices(instance: Instance): Promise<NatChoices> {
  using table = await openTable<number, readonly NatCounter[]>(instance, 'nat_counters');
  return viewChoices([...table.rows()].flatMap(({ value }) => value));
}

/** The busiest first. */
function byOwner(a: NatPortsItem, b: NatPortsItem): number {
  return b.flows - a.flows || a.ports.first - b.ports.first;
}

interface JournalReading {
  /** Blocks of an address that rest. */
  readonly held: (address: IpAddress) => number;
  readonly journal?: JournalStats;
}

function readJournal(instance: Instance, { created }: NatChoices): JournalReading {
  const directory = journalOf(instance);
  try {
    const { history, bytes, segments } = openJournal(directory);
    const bytesSinceBoot = bytesSince(directory, Date.now() - uptime() * 1000 - BOOT_MARGIN);
    const flows = Number(created);
    const journal = {
      directory,
      ...(history.begins === undefined ? {} : { begins: new Date(history.begins).toISOString() }),
      segments,
      bytes,
      bytesSinceBoot,
      ...(flows < FLOWS_FOR_RATE ? {} : { bytesPerMillionFlows: Math.round((bytesSinceBoot / flows) * 1e6) }),
    };
    return { held: (address) => countHeld(history, instance, address), journal };
  } catch (error) {
    if (error instanceof JournalReadError) return { held: () => 0 };
    throw error;
  }
}

function countHeld(history: BlockHistory, { state }: Instance, address: IpAddress): number {
  const rest = (state.reuseHold ?? DEFAULT_REUSE_HOLD) * 1000;
  const now = Date.now();
  return history.unowned.filter((release) => isOf(release, address) && now - Date.parse(release.time) < rest).length;
}
