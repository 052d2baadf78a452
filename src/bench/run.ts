// A whole benchmark: build, measure section by section, judge, remove.
import { availableParallelism } from 'node:os';
import type { Bed } from './bed.js';
import { buildBed } from './bed.js';
import { planBench } from './bench-plan.js';
import { measureCost } from './cost.js';
import { type Comparison, comparisonsOf, LONG_SECTIONS, SECTIONS, SELF_CHECK, type Section } from './goals.js';
import { measureLatency, timesOf } from './latency.js';
import { measureMemory } from './memory.js';
import { ownBench } from './owned.js';
import { listPaths } from './paths.js';
import type { Peer } from './peers.js';
import { allNamespaces, allStations, type BenchPlan } from './plan.js';
import type { BenchReport } from './report.js';
import { judge, SELF_CHECKED } from './results.js';
import type { Rounds } from './rounds.js';
import type { Samples } from './samples.js';
import { begin, chooseSections, head, measureSections } from './sections.js';
import { measureStreams } from './streams.js';
import { measureThroughput, PACKET_KINDS } from './throughput.js';
import { listVersions } from './versions.js';

export interface BenchOptions {
  /** Shorter runs, fewer rounds: under three minutes. */
  readonly quick: boolean;
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly Section[];
  readonly narrate: (line: string) => void;
}

const QUICK = { rounds: 7, runSeconds: 0.4, packets: { '1 flow': 200_000, 'new flows': 100_000 }, batches: 15 };
const THOROUGH = { rounds: 21, runSeconds: 0.6, packets: { '1 flow': 500_000, 'new flows': 200_000 }, batches: 41 };

type Effort = typeof QUICK;

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runBench(options: BenchOptions): Promise<BenchReport> {
  const sections = chooseParts(options);
  const plan = planBench({ jumbo: sections.includes('stream') });
  return ownBench(plan, (signal) => work(plan, { ...options, sections }, signal));
}

/** What was asked for; otherwise all, but for what makes a quick run a long one. */
function chooseParts({ quick, only }: Pick<BenchOptions, 'quick' | 'only'>): readonly Section[] {
  const usual = quick ? SECTIONS.filter((section) => !LONG_SECTIONS.includes(section)) : SECTIONS;
  return chooseSections(only.length > 0 ? SECTIONS : usual, only);
}

interface WorkOptions extends BenchOptions {
  readonly sections: readonly Section[];
}

async function work(plan: BenchPlan, options: WorkOptions, signal: AbortSignal): Promise<BenchReport> {
  const begun = begin(availableParallelism() - 1);
  const { quick, sections, narrate } = options;
  const effort = { ...(quick ? QUICK : THOROUGH), ...(options.rounds ? { rounds: options.rounds } : {}) };
  narrate(`building: ${describePlan(plan)}`);
  const bed = await buildBed(plan, begun.machine.cpu, signal);
  const measuring = { bed, effort, sections, signal, narrate };
  const { samples, missing } = await measureSections({
    ...measuring,
    sections: partsOf(sections),
    missing: bed.missing,
    empty: EMPTY,
    measure: (part) => measurePart(part, measuring),
  });
  return {
    ...head('paths', begun),
    settings: { quick, rounds: effort.rounds, runSeconds: effort.runSeconds, sections },
    versions: await listVersions(bed.versions),
    missing,
    notes: options.only.length > 0 || !quick ? [] : [`--quick leaves out ${LONG_SECTIONS.join(', ')}`],
    results: judge(samples, sections),
    times: timesOf(samples.latency, bed.peers),
    samples,
  };
}

function describePlan(plan: BenchPlan): string {
  const pods = allNamespaces(plan).length - allStations(plan).length;
  return `${plan.nodes.length} agents, ${pods} pods, ${allStations(plan).length} nodes and hosts`;
}

interface Measuring {
  readonly bed: Bed;
  readonly effort: Effort;
  readonly sections: readonly Section[];
  readonly signal: AbortSignal;
  readonly narrate: (line: string) => void;
}

type Part = keyof Samples;

const EMPTY: Samples = { latency: [], streams: [], packets: [], programs: [], memory: [] };

/** What is measured for the sections: one run of `latency` serves all that compare its times. */
function partsOf(sections: readonly Section[]): Part[] {
  const compared = comparisonsOf(sections);
  const pairs = (['latency', 'streams', 'packets'] as const).filter((part) => compared[part].length > 0);
  return [...pairs, ...(['programs', 'memory'] as const).filter((part) => sections.includes(part))];
}

async function measurePart(part: Part, measuring: Measuring): Promise<Partial<Samples>> {
  const measures: Readonly<Record<Part, () => Promise<Samples[Part]>>> = {
    latency: () => latency(measuring),
    streams: () => streams(measuring),
    packets: () => packets(measuring),
    programs: () => programs(measuring),
    memory: () => measureMemory(measuring.bed.plan, measuring.signal),
  };
  return { [part]: await measures[part]() };
}

function latency(measuring: Measuring): Promise<Samples['latency'][number][]> {
  const { bed, sections } = measuring;
  const compared = comparisonsOf(sections).latency;
  const checks = SELF_CHECKED.filter((test) => compared.some((one) => one.test === test));
  const wanted = [...compared, ...checks.map((test) => ({ ...SELF_CHECK, test }))];
  const runs = runsOf(bed.peers, wanted, ({ test, flows }: Pick<Comparison, 'test' | 'flows'>) => {
    return { test, ...(flows === undefined ? {} : { flows }) };
  });
  return measureLatency({ ...roundsOf('latency', measuring), plan: bed.plan, runs });
}

function streams(measuring: Measuring): Promise<Samples['streams'][number][]> {
  const { bed, sections } = measuring;
  const compared = comparisonsOf(sections).streams;
  const checked = compared.some(({ flows }) => flows === 1);
  const wanted = [...compared, ...(checked ? [{ ...SELF_CHECK, flows: 1 }] : [])];
  const runs = runsOf(bed.peers, wanted, ({ flows }) => ({ flows }));
  return measureStreams({ ...roundsOf('streams', measuring), runs });
}

type Pair = Pick<Comparison, 'subject' | 'reference'> | typeof SELF_CHECK;

/** Each peer once with each workload that it is compared in. */
function runsOf<P extends Pair, W extends object>(
  peers: readonly Peer[],
  pairs: readonly P[],
  workloadOf: (pair: P) => W,
): (W & { readonly peer: Peer })[] {
  const runs = new Map<string, W & { readonly peer: Peer }>();
  for (const pair of pairs) {
    const workload = workloadOf(pair);
    for (const peer of peers.filter(({ name }) => name === pair.subject || name === pair.reference))
      runs.set(`${peer.name} ${JSON.stringify(workload)}`, { ...workload, peer });
  }
  return [...runs.values()];
}

function roundsOf(part: Part, { bed, effort, signal, narrate }: Measuring): Rounds {
  const { rounds, runSeconds: seconds } = effort;
  const onRound = (round: number): void => narrate(`${part}, round ${round} of ${rounds}`);
  return { rounds, seconds, cpu: bed.cpu, servers: bed.servers, signal, onRound };
}

async function packets({ bed, effort, sections, signal }: Measuring): Promise<Samples['packets'][number][]> {
  const paths = await listPaths(bed);
  const compared = comparisonsOf(sections).packets;
  const kinds = PACKET_KINDS.filter((kind) => compared.some((one) => one.kind === kind));
  const { rounds, packets } = effort;
  return measureThroughput({ plan: bed.plan, paths, kinds, rounds, packets, cpu: bed.cpu, signal });
}

function programs({ bed, effort, signal }: Measuring): Promise<Samples['programs'][number][]> {
  return measureCost({ plan: bed.plan, batches: effort.batches, cpu: bed.cpu, signal });
}
