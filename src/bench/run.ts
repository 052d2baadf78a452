// A whole benchmark: build, measure section by section, judge, remove.
import { availableParallelism } from 'node:os';
import type { Bed } from './bed.js';
import { buildBed } from './bed.js';
import { ALL_TESTS, TESTS, type Test } from './clients.js';
import { measureCost } from './cost.js';
import type { Section } from './goals.js';
import { COMPARISONS, SECTIONS, SELF_CHECK, STREAM_COMPARISONS } from './goals.js';
import { type LatencyRun, measureLatency, timesOf } from './latency.js';
import { measureMemory } from './memory.js';
import { ownBench } from './owned.js';
import { listPaths } from './paths.js';
import type { Peer, PeerName } from './peers.js';
import { planBench } from './plan.js';
import type { BenchReport } from './report.js';
import { judge } from './results.js';
import type { Samples } from './samples.js';
import { begin, chooseSections, head, measureSections } from './sections.js';
import { measureStreams } from './stream.js';
import { measureThroughput } from './throughput.js';
import { listVersions } from './versions.js';

export interface BenchOptions {
  /** Shorter runs, fewer rounds: under three minutes. */
  readonly quick: boolean;
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly Section[];
  readonly narrate: (line: string) => void;
}

const QUICK = { rounds: 7, runSeconds: 0.4, packets: 200_000, batches: 15 };
const THOROUGH = { rounds: 21, runSeconds: 0.6, packets: 500_000, batches: 41 };

type Effort = typeof QUICK;

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runBench(options: BenchOptions): Promise<BenchReport> {
  return ownBench(planBench(), (signal) => work(options, signal));
}

async function work(options: BenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const begun = begin(availableParallelism() - 1);
  const effort = { ...(options.quick ? QUICK : THOROUGH), ...(options.rounds ? { rounds: options.rounds } : {}) };
  const sections = chooseSections(SECTIONS, options.only);
  options.narrate('building: 4 agents, 13 pods, 18 nodes and hosts');
  const bed = await buildBed(begun.machine.cpu, signal);
  const measuring = { bed, effort, sections, signal, narrate: options.narrate };
  const { samples, missing } = await measureSections({
    ...measuring,
    sections: partsOf(sections),
    missing: bed.missing,
    empty: EMPTY,
    measure: (part) => measurePart(part, measuring),
  });
  return {
    ...head('paths', begun),
    settings: { quick: options.quick, rounds: effort.rounds, runSeconds: effort.runSeconds, sections },
    versions: await listVersions(bed.masquerade === undefined ? {} : { masquerade: bed.masquerade }),
    missing,
    notes: [],
    results: judge(samples, sections),
    times: timesOf(samples.latency, bed.peers),
    samples,
  };
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
  const compared = COMPARISONS.some(({ section }) => sections.includes(section));
  const others = (['packets', 'programs', 'memory'] as const).filter((part) => sections.includes(part));
  const streams = sections.includes('stream') ? (['streams'] as const) : [];
  return [...(compared ? (['latency'] as const) : []), ...streams, ...others];
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

function latency({ bed, effort, sections, signal, narrate }: Measuring): Promise<Samples['latency'][number][]> {
  const onRound = (round: number): void => narrate(`latency, round ${round} of ${effort.rounds}`);
  const { rounds, runSeconds: seconds } = effort;
  return measureLatency({ runs: comparedRuns(bed.peers, sections), rounds, seconds, cpu: bed.cpu, signal, onRound });
}

/** What the sections compare, and the pair that is measured twice. */
function comparedRuns(peers: readonly Peer[], sections: readonly Section[]): LatencyRun[] {
  const compared = COMPARISONS.filter(({ section }) => sections.includes(section));
  const wanted = [...compared, ...TESTS.map((test) => ({ ...SELF_CHECK, test }))];
  const isWanted = (name: PeerName, test: Test): boolean =>
    wanted.some((one) => one.test === test && (one.subject === name || one.reference === name));
  return ALL_TESTS.flatMap((test) => peers.filter(({ name }) => isWanted(name, test)).map((peer) => ({ peer, test })));
}

function streams({ bed, effort, signal }: Measuring): Promise<Samples['streams'][number][]> {
  const wanted = new Set(STREAM_COMPARISONS.flatMap(({ subject, reference }) => [subject, reference]));
  const peers = bed.peers.filter(({ name }) => wanted.has(name));
  return measureStreams({ peers, rounds: effort.rounds, seconds: effort.runSeconds, cpu: bed.cpu, signal });
}

async function packets({ bed, effort, signal }: Measuring): Promise<Samples['packets'][number][]> {
  const paths = await listPaths(bed);
  return measureThroughput({ paths, rounds: effort.rounds, packets: effort.packets, cpu: bed.cpu, signal });
}

function programs({ bed, effort, signal }: Measuring): Promise<Samples['programs'][number][]> {
  return measureCost({ plan: bed.plan, batches: effort.batches, cpu: bed.cpu, signal });
}
