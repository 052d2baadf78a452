// Who owned which port when: an index over the tenures of a journal.
import type { IpAddress } from './address.js';
import {
  type BlockGrant,
  type BlockPorts,
  type BlockRelease,
  isOf,
  type JournalLine,
  outsideOf,
  overlap,
} from './block-grant.js';
import { BlockReplay, type Tenure } from './block-replay.js';

/** A port of a translation address, and a span of time, milliseconds of the epoch, ends included. */
export interface HistoryQuestion {
  readonly address: IpAddress;
  readonly port: number;
  readonly from: number;
  readonly to: number;
}

/** Tenures of one block in the order of their begins, with the latest end among the first n. */
interface Lane {
  readonly tenures: Tenure[];
  readonly latestEnd: number[];
}

/** Blocks of one size that do not overlap: the block of a port is found by division. */
interface Grid {
  readonly size: number;
  readonly offset: number;
  readonly lanes: Map<number, Lane>;
}

/** A question looks at the tenures of one block of each size that was ever in use, found by bisection. */
export class BlockHistory {
  /** Time of the oldest line; undefined when there is none. Of grants that it knows already, also earlier. */
  readonly begins: number | undefined;
  readonly count: number;
  /** The last releases of ports that have no owner now. */
  readonly unowned: readonly BlockRelease[];
  readonly #grids = new Map<IpAddress, Grid[]>();

  constructor(lines: Iterable<JournalLine>) {
    const tenures: Tenure[] = [];
    const replay = new BlockReplay((tenure) => tenures.push(tenure));
    for (const line of lines) replay.apply(line);
    tenures.push(...replay.live.values());
    tenures.sort((a, b) => a.from - b.from);
    for (const tenure of tenures) this.#add(tenure);
    this.begins = replay.begins;
    this.count = tenures.length;
    const live = [...replay.live.values()].map(({ grant }) => grant);
    this.unowned = [...replay.releases.values()].filter((release) => !live.some((grant) => isOwned(release, grant)));
  }

  /** Translation addresses of all times. */
  get addresses(): IpAddress[] {
    return [...this.#grids.keys()];
  }

  /** Who owned the port at any moment of the span, in the order of begins. */
  at({ address, port, from, to }: HistoryQuestion): Tenure[] {
    const found = (this.#grids.get(address) ?? []).flatMap((grid) => {
      const lane = grid.lanes.get(blockOf(grid, port));
      return lane === undefined ? [] : overlapping(lane, from, to);
    });
    return found.length < 2 ? found : found.sort((a, b) => a.from - b.from);
  }

  /** The owners of the port just before and after a span in which nobody had it. */
  around(question: HistoryQuestion): { before?: Tenure; after?: Tenure } {
    const all = this.at({ ...question, from: -Infinity, to: Infinity });
    const before = all
      .filter(({ to }) => to !== undefined && to < question.from)
      .sort((a, b) => endOf(a) - endOf(b))
      .at(-1);
    const after = all.find(({ from }) => from > question.to);
    return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
  }

  #add(tenure: Tenure): void {
    const outside = new Set(tenure.grant.addresses.map((address) => address.outside));
    for (const address of outside) {
      const { tenures, latestEnd } = this.#lane(address, tenure.grant.ports);
      tenures.push(tenure);
      latestEnd.push(Math.max(latestEnd.at(-1) ?? -Infinity, endOf(tenure)));
    }
  }

  #lane(address: IpAddress, { first, count }: BlockPorts): Lane {
    const grids = this.#grids.get(address) ?? [];
    this.#grids.set(address, grids);
    const known = grids.find(({ size, offset }) => size === count && offset === first % count);
    const grid = known ?? { size: count, offset: first % count, lanes: new Map<number, Lane>() };
    if (known === undefined) grids.push(grid);
    const lane = grid.lanes.get(first) ?? { tenures: [], latestEnd: [] };
    grid.lanes.set(first, lane);
    return lane;
  }
}

function isOwned(release: BlockRelease, grant: BlockGrant): boolean {
  return overlap(release.ports, grant.ports) && outsideOf(grant).some((address) => isOf(release, address));
}

function blockOf({ size, offset }: Grid, port: number): number {
  return Math.floor((port - offset) / size) * size + offset;
}

function endOf({ to }: Tenure): number {
  return to ?? Infinity;
}

/** Both ends belong to a tenure: within its millisecond nobody knows who was first. */
function overlapping({ tenures, latestEnd }: Lane, from: number, to: number): Tenure[] {
  const found: Tenure[] = [];
  for (let index = countUpTo(tenures, to) - 1; index >= 0 && (latestEnd[index] ?? 0) >= from; index--) {
    const tenure = tenures[index];
    if (tenure !== undefined && endOf(tenure) >= from) found.push(tenure);
  }
  return found.reverse();
}

/** How many begin at a time or before. */
function countUpTo(tenures: readonly Tenure[], time: number): number {
  let low = 0;
  let high = tenures.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tenures[middle]?.from ?? Infinity) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
