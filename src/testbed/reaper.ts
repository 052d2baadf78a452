// A small process of its own that cleans up when its owner dies, however it dies.
import { spawn } from 'node:child_process';
import { ISTHMUS } from './files.js';

export interface Reaper {
  /** Lets what was built live on without its owner. */
  dismiss(): void;
}

const DISMISSED = 'keep';

/**
 * Starts `isthmus` with arguments that make it wait for untilOrphaned() and clean up then. The pipe to its stdin is
 * what ties it to us: the kernel closes it also after kill -9.
 */
export function startReaper(args: readonly string[]): Reaper {
  const child = spawn(process.execPath, [ISTHMUS, ...args], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
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

/** The reaper's life: waits for the end of stdin. false when it was dismissed and has nothing to do. */
export async function untilOrphaned(): Promise<boolean> {
  // Ctrl-C is for the owner; what matters here is the owner's end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  let text = '';
  process.stdin.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise<void>((resolve) => process.stdin.on('close', resolve).on('error', () => resolve()));
  return text !== DISMISSED;
}
