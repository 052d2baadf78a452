// A process that runs packets on one CPU, so that two of them meet in the kernel at any point of the programs.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Batch } from './packet-worker.js';

const WORKER = join(import.meta.dirname, 'packet-worker.ts');
const NATIVE = process.env.ISTHMUS_NATIVE_DIR ?? join(import.meta.dirname, '../../build/native');

export interface PinnedCpu extends Disposable {
  /** Runs by what they returned. Throws when the process has ended. */
  run(batch: Batch): Promise<Record<string, number>>;
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
      return JSON.parse(value as string) as Record<string, number>;
    },
    // Its stdin ends with us, and it with that.
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}
