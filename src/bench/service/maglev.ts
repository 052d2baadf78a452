// How even Maglev's tables are, and how much of one changes when a backend goes: by computing them.
import { maglevTable } from '../../datapath/maglev.js';
import { fillBackend } from './services.js';

export interface MaglevSample {
  readonly backends: number;
  /** Slots of the backend with the most, divided by those of the one with the least. */
  readonly unevenness: number;
  /** Share of the slots of backends that stay that change hands when one goes: the mean over those that were tried. */
  readonly disruption: number;
  /** Milliseconds to fill one table. */
  readonly milliseconds: number;
}

const COUNTS = [3, 10, 100, 1000];
/** Backends that go, one by one. */
const TRIALS = 10;

export function measureMaglev(): MaglevSample[] {
  return COUNTS.map((count) => {
    const names = Array.from({ length: count }, (_, index) => nameOf(index));
    const started = performance.now();
    const table = maglevTable(names);
    const milliseconds = performance.now() - started;
    const counts = names.map(() => 0);
    for (const owner of table) counts[owner] = (counts[owner] ?? 0) + 1;
    const trials = Math.min(TRIALS, count);
    const shares = Array.from({ length: trials }, (_, trial) =>
      disruption(names, table, trial * Math.floor(count / trials)),
    );
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    return { backends: count, unevenness: Math.max(...counts) / Math.min(...counts), disruption: mean, milliseconds };
  });
}

function nameOf(index: number): string {
  const { address, port } = fillBackend(index);
  return `${address} ${port}`;
}

/** Of the slots that others than `gone` own, the share that is another's without it. */
function disruption(names: readonly string[], table: Uint16Array, gone: number): number {
  const left = names.filter((_, index) => index !== gone);
  const after = maglevTable(left);
  let others = 0;
  let moved = 0;
  for (const [slot, owner] of table.entries()) {
    if (owner === gone) continue;
    others++;
    if (left[after[slot] ?? 0] !== names[owner]) moved++;
  }
  return moved / others;
}
