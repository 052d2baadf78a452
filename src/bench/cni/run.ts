// A whole benchmark of the CNI plugin: build, measure section by section, judge, remove.
import { availableParallelism } from 'node:os';
import { ownBench } from '../owned.js';
import type { BenchReport } from '../report.js';
import { begin, chooseSections, head, measureSections } from '../sections.js';
import { listVersions } from '../versions.js';
import { buildCniBed } from './bed.js';
import { CNI_SECTIONS, type CniSection } from './goals.js';
import { planCniBench } from './plan.js';
import { measureRequests } from './request.js';
import { judgeCni } from './results.js';
import type { CniSamples } from './samples.js';

export interface CniBenchOptions {
  /** Fewer rounds: about half a minute. */
  readonly quick: boolean;
  /** Of each measurement. */
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly CniSection[];
  readonly narrate: (line: string) => void;
}

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runCniBench(options: CniBenchOptions): Promise<BenchReport> {
  return ownBench(planCniBench(), (signal) => work(options, signal));
}

async function work(options: CniBenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const { quick, only, narrate } = options;
  const begun = begin(availableParallelism() - 1);
  const rounds = options.rounds ?? (quick ? 9 : 31);
  const sections = chooseSections(CNI_SECTIONS, only);
  narrate('building: 1 agent, 2 nodes, 20 pods');
  const bed = await buildCniBed(signal);
  const { samples, missing } = await measureSections<CniSection, CniSamples>({
    sections,
    signal,
    narrate,
    missing: bed.missing,
    empty: { requests: [] },
    measure: async (section, { requests }) => {
      return { requests: [...requests, ...(await measureRequests({ bed, section, rounds, signal }))] };
    },
  });
  return {
    ...head('cni', begun),
    settings: { quick, rounds, sections },
    versions: await listVersions(bed.versions),
    missing,
    notes: bed.notes,
    results: judgeCni(samples, sections),
    times: [],
    samples,
  };
}
