// Says in the log when the flow table is nearly full, and whose flows fill it.
import type { Logger } from 'pino';
import {
  describePressure,
  type FlowTable,
  isUnderPressure,
  rankTalkers,
  type TalkerNames,
} from '../model/flow-table.js';

/** Milliseconds between two warnings while it stays so. */
const REPEAT = 60_000;
/** Talkers in one line of the log. */
const NAMED = 5;

export interface FlowWatchOptions {
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly names: () => TalkerNames;
  /** Milliseconds of any clock that does not go back. */
  readonly clock: () => number;
}

export class FlowWatch {
  readonly #options: FlowWatchOptions;
  #warned: number | undefined;

  constructor(options: FlowWatchOptions) {
    this.#options = options;
  }

  check(table: FlowTable): void {
    if (isUnderPressure(table)) this.#warn(table);
    else if (this.#warned !== undefined) this.#calm(table);
  }

  #warn(table: FlowTable): void {
    const { log, names, clock } = this.#options;
    const now = clock();
    if (this.#warned !== undefined && now - this.#warned < REPEAT) return;
    this.#warned = now;
    const talkers = rankTalkers(table, names());
    const { entries, maxEntries } = table;
    const named = talkers.slice(0, NAMED).map((talker) => ({ ...talker, refused: Number(talker.refused) }));
    log.warn({ entries, maxEntries, talkers: named }, describePressure(table, talkers));
  }

  #calm({ entries, maxEntries }: FlowTable): void {
    this.#warned = undefined;
    this.#options.log.info({ entries, maxEntries }, 'the flow table has room for everybody again');
  }
}
