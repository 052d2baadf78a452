// How full the translation is: by address, by owner of a block, and how ports were found.
import type { Family, IpAddress } from '../../model/address.js';
import { type AddressFilter, formatAddressPort } from '../address-port.js';
import type { HistogramBucket } from '../format.js';
import type { Owner, PortBlock } from './nat-owner.js';
import type { TranslationItem } from './translation.js';

/** Blocks of one translation address; total = used + held + free. */
export interface NatAddressItem {
  readonly node: string;
  readonly address: IpAddress;
  readonly blocks: { readonly total: number; readonly used: number; readonly held: number; readonly free: number };
  readonly flows: number;
  /** Different ports, all protocols together. */
  readonly portsInUse: number;
  /** Ports in use of those that have an owner. */
  readonly fillPercent: number;
}

/** Ports of one owner. */
export interface NatPortsItem {
  readonly node: string;
  readonly owner: Owner;
  readonly address: IpAddress;
  readonly ports: { readonly first: number; readonly last: number };
  readonly flows: number;
  readonly portsInUse: number;
  /** The remote address and port with the most flows: the block is full when that has all of its ports. */
  readonly busiest?: {
    readonly protocol: string;
    readonly remote: AddressFilter;
    readonly flows: number;
    readonly fillPercent: number;
  };
}

/** struct nat_counter, as decoded. */
export interface NatCounter {
  readonly created: bigint;
  readonly reused: bigint;
  readonly shifted: bigint;
  readonly forced: bigint;
  readonly exhausted: bigint;
  readonly probes: readonly bigint[];
}

/** How often a pod, or the node, found no port in one family. */
export interface ShortageItem {
  readonly node: string;
  readonly owner: Owner;
  readonly family: Family;
  /** Packets dropped while a block was on its way, and packets refused. */
  readonly waiting: bigint;
  readonly refused: bigint;
  /** Of the last of them. */
  readonly protocol: string;
  readonly remote: AddressFilter;
  readonly secondsAgo: number;
}

/** What the choice of ports came to, over all CPUs since the maps were made. */
export interface NatChoices extends Omit<NatCounter, 'probes'> {
  /** Flows by the number of ports that were looked at. */
  readonly probes: readonly HistogramBucket[];
}

/** Flows of one block, counted as they are read: there may be half a million of them. */
export class BlockUsage {
  readonly block: PortBlock;
  readonly #ports = new Set<number>();
  readonly #remotes = new Map<string, { protocol: string; remote: AddressFilter; flows: number }>();
  #flows = 0;

  constructor(block: PortBlock) {
    this.block = block;
  }

  get flows(): number {
    return this.#flows;
  }

  get portsInUse(): number {
    return this.#ports.size;
  }

  add({ outside, remote, protocol }: Pick<TranslationItem, 'outside' | 'remote' | 'protocol'>): void {
    this.#flows++;
    this.#ports.add(outside.port ?? 0);
    const name = `${protocol} ${formatAddressPort(remote)}`;
    const known = this.#remotes.get(name) ?? { protocol, remote, flows: 0 };
    known.flows++;
    this.#remotes.set(name, known);
  }

  view(node: string, owner: Owner): NatPortsItem {
    const { first, count, natAddress } = this.block;
    const busiest = [...this.#remotes.values()].reduce((most, each) => (each.flows > most.flows ? each : most), NONE);
    return {
      node,
      owner,
      address: natAddress,
      ports: { first, last: first + count - 1 },
      flows: this.#flows,
      portsInUse: this.#ports.size,
      ...(busiest.flows === 0 ? {} : { busiest: { ...busiest, fillPercent: percent(busiest.flows, count) } }),
    };
  }
}

const NONE: { protocol: string; remote: AddressFilter; flows: number } = {
  protocol: '',
  remote: { address: '' },
  flows: 0,
};

/** Finds the block of a translated port without looking at all of them. */
export class UsageIndex {
  readonly all: readonly BlockUsage[];
  readonly #byPort = new Map<string, BlockUsage>();

  constructor(blocks: readonly PortBlock[]) {
    this.all = blocks
      .filter(({ natAddress, count }) => natAddress !== '::' && count > 0)
      .map((block) => new BlockUsage(block));
    for (const usage of this.all) {
      const { natAddress, first, count } = usage.block;
      for (let port = first; port < first + count; port++) this.#byPort.set(`${natAddress} ${port}`, usage);
    }
  }

  /** Closed flows are left out: their ports are given again. So are frontends, which are no ports of a block. */
  add(item: TranslationItem): void {
    if (item.translation === 'destination' || item.state === 'closed') return;
    this.#byPort.get(`${item.outside.address} ${item.outside.port}`)?.add(item);
  }
}

export interface AddressesInput {
  readonly node: string;
  readonly usages: readonly BlockUsage[];
  /** Translation addresses, also those that nobody owns a block of. */
  readonly addresses: readonly IpAddress[];
  /** Blocks of each of them. */
  readonly total: number;
  readonly blockSize: number;
  /** Blocks of an address without an owner that may not be given yet. */
  readonly held: (address: IpAddress) => number;
}

export function viewAddresses(input: AddressesInput): NatAddressItem[] {
  const { node, usages, addresses, total, blockSize } = input;
  const byAddress = Map.groupBy(usages, ({ block }) => block.natAddress);
  const sum = (list: readonly BlockUsage[], of: (usage: BlockUsage) => number) =>
    list.reduce((all, each) => all + of(each), 0);
  return [...new Set([...byAddress.keys(), ...addresses])].map((address) => {
    const list = byAddress.get(address) ?? [];
    const held = input.held(address);
    const used = new Set(list.map(({ block }) => block.first)).size;
    const portsInUse = sum(list, (usage) => usage.portsInUse);
    return {
      node,
      address,
      blocks: { total, used, held, free: Math.max(0, total - used - held) },
      flows: sum(list, ({ flows }) => flows),
      portsInUse,
      fillPercent: percent(portsInUse, used * blockSize),
    };
  });
}

/** Sums the counters of all CPUs. */
export function viewChoices(counters: readonly NatCounter[]): NatChoices {
  const sum = (of: (counter: NatCounter) => bigint) => counters.reduce((all, counter) => all + of(counter), 0n);
  const buckets = counters[0]?.probes.length ?? 0;
  return {
    created: sum(({ created }) => created),
    reused: sum(({ reused }) => reused),
    shifted: sum(({ shifted }) => shifted),
    forced: sum(({ forced }) => forced),
    exhausted: sum(({ exhausted }) => exhausted),
    probes: Array.from({ length: buckets }, (_, bucket) => ({
      ...rangeOf(bucket, buckets),
      count: sum(({ probes }) => probes[bucket] ?? 0n),
    })),
  };
}

/** 1, 2, 3-4, 5-8, and so on; the last bucket has no upper end. */
function rangeOf(bucket: number, buckets: number): { from: number; to?: number } {
  const from = bucket === 0 ? 1 : 2 ** (bucket - 1) + 1;
  return bucket === buckets - 1 ? { from } : { from, to: 2 ** bucket };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10;
}
