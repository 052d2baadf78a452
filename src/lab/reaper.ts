// A small process of its own that removes the lab when its owner dies, however it dies.
import { spawn } from 'node:child_process';
import { takeDown } from './down.js';
import { ISTHMUS } from './files.js';
import { readRecord } from './record.js';

export interface Reaper {
  /** Lets the lab live on without its owner. */
  dismiss(): void;
}

const DISMISSED = 'keep';

/** Starts the process; the pipe to its stdin is what ties it to us: the kernel closes it also after kill -9. */
export function startReaper(id: string): Reaper {
  const argv = [ISTHMUS, 'lab', 'down', '--when-stdin-closes', '--lab', id];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  (child.stdin as typeof child.stdin & { unref(): void }).unref();
  return {
    dismiss() {
      child.stdin.end(DISMISSED);
    },
  };
}

/** The reaper's life: waits for the end of stdin and removes the lab with this id, unless it was dismissed. */
export async function reap(id: string): Promise<string[]> {
  // Ctrl-C is for the owner; what matters here is the owner's end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  let text = '';
  process.stdin.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise<void>((resolve) => process.stdin.on('close', resolve).on('error', () => resolve()));
  const ours = readRecord()?.id === id;
  return ours && text !== DISMISSED ? takeDown() : [];
}
