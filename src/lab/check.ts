// Runs every check of the lab that is up and collects one row for each.
import { runCase } from './case-runner.js';
import type { LabCase } from './cases.js';
import { listCases } from './cases.js';
import { checkContinuity } from './continuity.js';
import { openDirectory } from './directory.js';
import { checkInvariants } from './invariants.js';
import { watchLeaks } from './leak-watch.js';
import { checkLimits } from './limits.js';
import { planLab } from './plan.js';
import type { LabRecord } from './record.js';
import { LabError, readRecord } from './record.js';
import type { LabCheck, Row } from './row.js';
import { summarize } from './row.js';
import { placesOf } from './servers.js';
import type { Progress } from './up.js';

const CONCURRENCY = 4;

export interface CheckOptions extends Progress {
  /** Seconds that agents and backends are replaced under traffic, at least; every agent is, once. */
  readonly replaceFor: number;
}

/** Throws LabError when the lab cannot be asked; a failed check is a row, not an error. */
export async function checkLab(record: LabRecord, { narrate, signal, replaceFor }: CheckOptions): Promise<LabCheck> {
  const started = performance.now();
  const plan = planLab(record.mode);
  const directory = await openDirectory(plan, record);
  const places = placesOf(plan);
  const cases = listCases(plan, record.choices.sockets);
  narrate(`${cases.length} cases, ${CONCURRENCY} at a time`);
  const leaks = await watchLeaks(plan);
  const run = (one: LabCase): Promise<Row> => runCase(directory, places, one);
  // What a place learns of a path it learns for all that it does at that time.
  const learning = (one: LabCase): boolean => one.action === 'mtu';
  const together = cases.filter((one) => !learning(one));
  const rows = await runCases(together, { run, signal, concurrency: CONCURRENCY });
  rows.push(...(await runCases(cases.filter(learning), { run, signal, concurrency: 1 })));
  signal.throwIfAborted();
  requireSame(record);
  const limits = await checkLimits(directory, places);
  narrate('long connections while every agent is killed and replaced in turn');
  const { choices } = record;
  const continuity = await checkContinuity(directory, { choices, places, replaceFor, progress: narrate });
  const invariants = await checkInvariants(directory, choices);
  requireSame(record);
  const all = [...rows, ...limits, ...continuity, ...(await leaks.stop()), ...invariants];
  return summarize(record.mode, all, (performance.now() - started) / 1000);
}

/** Somebody else's `lab up` or `lab down` makes every result meaningless. */
function requireSame(record: LabRecord): void {
  if (readRecord()?.id === record.id) return;
  throw new LabError('the lab was taken down while it was checked: the results mean nothing. Run the check again');
}

interface RunOptions {
  readonly run: (one: LabCase) => Promise<Row>;
  readonly signal: AbortSignal;
  readonly concurrency: number;
}

/** A few at a time, in order; the rows come back in the order of the cases. */
async function runCases(cases: readonly LabCase[], { run, signal, concurrency }: RunOptions): Promise<Row[]> {
  const rows: Row[] = new Array(cases.length);
  const queue = cases.entries();
  const work = async (): Promise<void> => {
    for (const [index, one] of queue) {
      signal.throwIfAborted();
      rows[index] = await run(one);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return rows;
}
