// A process that runs packets on one CPU, so that two of them meet in the kernel at any point of the programs.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Batch, BatchResult } from './packet-worker.js';

const WORKER = join(import.meta.dirname, 'packet-worker.ts');
const NATIVE = process.env.ISTHMUS_NATIVE_DIR ?? join(import.meta.dirname, '../../build/native');

export interface PinnedCpu extends Disposable {
  /** Throws when the process has ended. */
  run(batch: Batch): Promise<BatchResult>;
}

export function openPinnedCpu(cpu: number): PinnedCpu {
  const argv = ['-c', String(cpu), process.execPath, WORKER, join(NATIVE, 'bpf.node')];
  const child = spawn('taskset', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(batch) {
      child.stdin.write(`${JSON.stringify(batch)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the process on CPU ${cpu} ended`);
      return JSON.parse(value as string) as BatchResult;
    },
    // Its stdin ends with us, and it with that.
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** Milliseconds for which two batches ran at the same time. */
export function overlapOf(one: BatchResult, other: BatchResult): number {
  const began = Math.max(Number(one.began), Number(other.began));
  return Math.max(0, Math.min(Number(one.ended), Number(other.ended)) - began) / 1e6;
}
