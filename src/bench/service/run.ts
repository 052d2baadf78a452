// A whole benchmark of Services: build, measure section by section, judge, remove.
import { availableParallelism } from 'node:os';
import { ownBench } from '../owned.js';
import type { BenchReport } from '../report.js';
import { begin, chooseSections, head, measureSections } from '../sections.js';
import { listVersions } from '../versions.js';
import { buildServiceBed, type ServiceBed } from './bed.js';
import { SERVICE_SECTIONS, type ServiceSection, SIZES } from './goals.js';
import { type Limits, measureServiceLatency } from './latency.js';
import { measureMaglev } from './maglev.js';
import { measureNodePort } from './node-port.js';
import { planServiceBench } from './plan.js';
import { measureProgramming } from './programming.js';
import { measureServicePrograms } from './programs.js';
import { measureReplacement } from './replacement.js';
import { judgeServices } from './results.js';
import { serviceTimes } from './results-latency.js';
import type { ServiceSamples } from './samples.js';
import { measureSharedBackend } from './shared-backend.js';

export interface ServiceBenchOptions {
  /** Shorter runs, fewer rounds, and netfilter's tools with as many Services as they write in seconds. */
  readonly quick: boolean;
  /** Of each measurement. */
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly ServiceSection[];
  /** Numbers of Services for `latency`; all of SIZES when empty. */
  readonly sizes: readonly number[];
  readonly narrate: (line: string) => void;
}

/** How often and how long. */
interface Effort {
  /** Of what takes little time, and of what takes more. */
  readonly rounds: number;
  readonly longRounds: number;
  /** Of one run of connections, and of one with changes. */
  readonly seconds: number;
  readonly replacing: number;
  readonly limits: Limits;
  readonly batches: number;
  readonly packets: number;
  readonly changes: number;
}

const QUICK: Effort = {
  rounds: 5,
  longRounds: 2,
  seconds: 0.25,
  replacing: 2,
  limits: { 'iptables-legacy': 10_000, 'iptables-nft': 5000, nftables: 1000 },
  batches: 15,
  packets: 200_000,
  changes: 50,
};
const THOROUGH: Effort = {
  rounds: 15,
  longRounds: 7,
  seconds: 0.5,
  replacing: 8,
  limits: { 'iptables-legacy': 30_000, 'iptables-nft': 10_000, nftables: 5000 },
  batches: 41,
  packets: 500_000,
  changes: 200,
};

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runServiceBench(options: ServiceBenchOptions): Promise<BenchReport> {
  return ownBench(planServiceBench(), (signal) => work(options, signal));
}

async function work(options: ServiceBenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const begun = begin(availableParallelism() - 1);
  const chosen = options.quick ? QUICK : THOROUGH;
  const effort = options.rounds ? { ...chosen, rounds: options.rounds, longRounds: options.rounds } : chosen;
  const sections = chooseSections(SERVICE_SECTIONS, options.only);
  const sizes = options.sizes.length > 0 ? options.sizes : SIZES;
  options.narrate('building: 2 agents, 9 pods, 10 nodes and hosts');
  const bed = await buildServiceBed(begun.machine.cpu, signal);
  const measuring = { bed, effort, sizes, signal, narrate: options.narrate };
  const { samples, missing } = await measureSections({
    ...measuring,
    sections,
    missing: bed.missing,
    empty: EMPTY,
    measure: (section) => measureSection(section, measuring),
  });
  return {
    ...head('service', begun),
    settings: { quick: options.quick, rounds: effort.rounds, runSeconds: effort.seconds, sections },
    versions: await listVersions(Object.fromEntries(bed.netfilter.map(({ peer, version }) => [peer, version]))),
    missing,
    notes: bed.notes,
    results: judgeServices(samples, sections),
    times: serviceTimes(samples.latency),
    samples,
  };
}

interface Measuring {
  readonly bed: ServiceBed;
  readonly effort: Effort;
  readonly sizes: readonly number[];
  readonly signal: AbortSignal;
  readonly narrate: (line: string) => void;
}

const EMPTY: ServiceSamples = {
  maglev: [],
  programs: [],
  latency: [],
  sharedBackend: [],
  replacement: [],
  nodePort: [],
};

/** What the section adds to the samples. */
function measureSection(
  section: ServiceSection,
  { bed, effort, sizes, signal, narrate }: Measuring,
): Promise<Partial<ServiceSamples>> {
  const { rounds, longRounds, seconds, limits, packets, changes, replacing } = effort;
  const onStep = (text: string): void => narrate(`${section}, ${text}`);
  const measures: Readonly<Record<ServiceSection, () => Promise<Partial<ServiceSamples>>>> = {
    maglev: async () => ({ maglev: measureMaglev() }),
    programs: async () => ({ programs: await measureServicePrograms(bed, effort.batches) }),
    programming: async () => ({
      programming: await measureProgramming({
        bed,
        rounds: longRounds,
        changes,
        nftLimit: limits.nftables,
        signal,
        onStep,
      }),
    }),
    latency: async () => ({
      latency: await measureServiceLatency({ bed, sizes, limits, rounds, seconds, signal, onSize: onStep }),
    }),
    'shared-backend': async () => ({
      sharedBackend: await measureSharedBackend({ bed, rounds: longRounds, seconds: seconds * 2, signal }),
    }),
    replacement: async () => ({
      replacement: await measureReplacement({ bed, rounds: longRounds, seconds: replacing, signal }),
    }),
    'node-port': async () => ({ nodePort: await measureNodePort({ bed, rounds, packets, signal }) }),
  };
  return measures[section]();
}
