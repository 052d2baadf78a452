// The parts of a benchmark, one after the other, and what every report says of the machine.
import { cpus, loadavg, release, totalmem } from 'node:os';
import { TestbedError } from '../testbed/error.js';
import { type Benchmark, type BenchReport, type Machine, type Missing, REPORT_VERSION } from './report.js';

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

/** When a benchmark began, and where. */
export interface Begun {
  /** Milliseconds of the epoch. */
  readonly started: number;
  readonly machine: Machine;
}

/** Before anything is built; `cpu` is the one on which everything is measured. */
export function begin(cpu: number): Begun {
  return { started: Date.now(), machine: describeMachine(cpu) };
}

/** What every report says first. To be called at the end of the run. */
export function head(benchmark: Benchmark, { started, machine }: Begun) {
  const seconds = Math.round((Date.now() - started) / 1000);
  return {
    apiVersion: REPORT_VERSION,
    kind: 'BenchReport',
    benchmark,
    started: new Date(started).toISOString(),
    seconds,
    machine,
  } as const satisfies Partial<BenchReport>;
}

function describeMachine(cpu: number): Machine {
  const processors = cpus();
  return {
    kernel: release(),
    processor: processors[0]?.model.trim() ?? '',
    cpus: processors.length,
    cpu,
    memoryBytes: totalmem(),
    load: loadavg()[0] ?? 0,
  };
}

/** What of the known ones was asked for, in their order; all when nothing was. */
export function chooseSections<Section>(known: readonly Section[], only: readonly Section[]): readonly Section[] {
  return only.length > 0 ? known.filter((one) => only.includes(one)) : known;
}
