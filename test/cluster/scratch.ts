// Where a cluster keeps its files: in memory when there is enough, for removing some gigabytes from a busy disk takes minutes.
import { mkdtempSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const PREFIX = 'ist-cluster-';
/** Bytes that must be free: what a cluster takes, twice. */
const ENOUGH = 8 * 2 ** 30;

/** A new folder, of root alone: keys are in it. */
export function makeScratch(): string {
  return mkdtempSync(join(hasRoom() ? MEMORY : tmpdir(), PREFIX));
}

function hasRoom(): boolean {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const [, , type, options = ''] =
    mounts.map((line) => line.split(' ')).findLast(([, point]) => point === MEMORY) ?? [];
  // Programs are started from there.
  if (type !== 'tmpfs' || options.split(',').includes('noexec')) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize >= ENOUGH && availableMemory() >= ENOUGH;
}

/** Bytes that can be had without pushing others out. */
function availableMemory(): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}
