// The parts of a benchmark, one after the other, and what every report says of the machine.
import { cpus, release } from 'node:os';
import { TestbedError } from '../testbed/error.js';
import type { Missing } from './bed.js';

export interface SectionsOptions<Section extends string, Samples extends object> {
  readonly sections: readonly Section[];
  readonly signal: AbortSignal;
  readonly narrate: (line: string) => void;
  /** What is known to be missing before. */
  readonly missing: readonly Missing[];
  /** Samples of a benchmark of which nothing was measured yet. */
  readonly empty: Samples;
  /** What the section adds to the samples, or puts in their place. */
  readonly measure: (section: Section, samples: Samples) => Promise<Partial<Samples>>;
}

export interface Measured<Samples> {
  readonly samples: Samples;
  readonly missing: readonly Missing[];
}

/** A part that fails is missing, with its reason, and the others go on. Throws TestbedError when all of them failed. */
export async function measureSections<Section extends string, Samples extends object>(
  options: SectionsOptions<Section, Samples>,
): Promise<Measured<Samples>> {
  const { sections, signal } = options;
  const failed: Missing[] = [];
  let samples = options.empty;
  for (const section of sections) {
    signal.throwIfAborted();
    options.narrate(`measuring ${section}`);
    try {
      samples = { ...samples, ...(await options.measure(section, samples)) };
    } catch (error) {
      signal.throwIfAborted();
      failed.push({ name: section, reason: (error as Error).message });
    }
  }
  const missing = [...options.missing, ...failed];
  if (failed.length < sections.length) return { samples, missing };
  const reasons = missing.map(({ name, reason }) => `${name}: ${reason}`);
  throw new TestbedError(`nothing could be measured: ${reasons.join('; ')}`);
}

export interface Machine {
  readonly kernel: string;
  readonly processor: string;
  readonly cpus: number;
  /** The one that everything measured runs on. */
  readonly cpu: number;
}

export function describeMachine(cpu: number): Machine {
  return { kernel: release(), processor: cpus()[0]?.model.trim() ?? '', cpus: cpus().length, cpu };
}

/** What of the known ones was asked for, in their order; all when nothing was. */
export function chooseSections<Section>(known: readonly Section[], only: readonly Section[]): readonly Section[] {
  return only.length > 0 ? known.filter((one) => only.includes(one)) : known;
}
