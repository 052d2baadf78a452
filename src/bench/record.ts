// Who is running a benchmark on this machine: there is room for one.
import { readFileSync } from 'node:fs';
import { writeAtomically } from '../testbed/atomic-file.js';
import { TestbedError } from '../testbed/error.js';
import { BENCH_DIR } from './plan.js';

interface BenchRecord {
  /** Tells this run from one that begins after it: a reaper removes only its own. */
  readonly id: string;
  readonly pid: number;
}

const RECORD = `${BENCH_DIR}/bench.json`;

export function writeRecord(id: string): void {
  writeAtomically(RECORD, `${JSON.stringify({ id, pid: process.pid })}\n`);
}

/** undefined when none is left. */
export function readRecord(): BenchRecord | undefined {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8')) as BenchRecord;
  } catch {
    return undefined;
  }
}

/** Throws TestbedError while another process runs one: they would measure each other. */
export function requireNoOther(): void {
  const pid = readRecord()?.pid;
  if (pid === undefined || pid === process.pid || !isBenchmark(pid)) return;
  throw new TestbedError(`a benchmark runs already (process ${pid}). Nothing was changed. Wait for it, or end it`);
}

function isBenchmark(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('bench');
  } catch {
    return false;
  }
}
