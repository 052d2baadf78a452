// One benchmark at a time, which is removed when it ends, however that is.
import { randomUUID } from 'node:crypto';
import { TestbedError } from '../testbed/error.js';
import { requireBuild } from '../testbed/files.js';
import { withOwned } from '../testbed/owner.js';
import { untilOrphaned } from '../testbed/reaper.js';
import { removeBed } from './bed.js';
import { allNamespaces, type BenchPlan } from './plan.js';
import { readRecord, requireNoOther, writeRecord } from './record.js';

/** Throws TestbedError when another one runs or left what cannot be removed, InterruptedError after a signal. */
export async function ownBench<Result>(
  plan: BenchPlan,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  requireBuild('a benchmark');
  requireNoOther();
  const left = await removeBed();
  if (left.length > 0)
    throw new TestbedError(`cannot remove what an earlier benchmark left: ${left.join(', ')} stayed`);
  const id = randomUUID();
  writeRecord(id);
  return withOwned({
    what: 'benchmark',
    reaper: ['bench', '--when-stdin-closes', id],
    namespaces: allNamespaces(plan),
    keep: false,
    takeDown: removeBed,
    work,
  });
}

/** The reaper's life: removes what the run with this id has left when its owner is gone. Returns what stayed. */
export async function reapBench(id: string): Promise<string[]> {
  return (await untilOrphaned()) && readRecord()?.id === id ? removeBed() : [];
}
