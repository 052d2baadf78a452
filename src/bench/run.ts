// A whole benchmark: build, measure section by section, judge, remove.
import { availableParallelism, cpus, release } from 'node:os';
import { TestbedError } from '../testbed/error.js';
import type { Bed, Missing } from './bed.js';
import { buildBed } from './bed.js';
import { measureCost } from './cost.js';
import type { Section } from './goals.js';
import { COMPARISONS, SECTIONS } from './goals.js';
import { measureLatency } from './latency.js';
import { measureMemory } from './memory.js';
import { ownBench } from './owned.js';
import { listPaths } from './paths.js';
import type { Peer } from './peers.js';
import { planBench } from './plan.js';
import type { BenchReport, Samples } from './report.js';
import { judge, timesOf } from './results.js';
import { measureThroughput } from './throughput.js';

export interface BenchOptions {
  /** Shorter runs, fewer rounds: under three minutes. */
  readonly quick: boolean;
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly Section[];
  readonly narrate: (line: string) => void;
}

const QUICK = { rounds: 9, runSeconds: 0.4, packets: 200_000, batches: 15 };
const THOROUGH = { rounds: 21, runSeconds: 0.6, packets: 500_000, batches: 41 };

type Effort = typeof QUICK;

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runBench(options: BenchOptions): Promise<BenchReport> {
  return ownBench(planBench(), (signal) => work(options, signal));
}

async function work(options: BenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const started = Date.now();
  const effort = { ...(options.quick ? QUICK : THOROUGH), ...(options.rounds ? { rounds: options.rounds } : {}) };
  const sections = options.only.length > 0 ? SECTIONS.filter((one) => options.only.includes(one)) : SECTIONS;
  const cpu = availableParallelism() - 1;
  options.narrate('building: 4 agents, 11 pods, 16 nodes and hosts');
  const bed = await buildBed(cpu, signal);
  const { samples, missing } = await measureAll({ bed, effort, sections, signal, narrate: options.narrate });
  return {
    apiVersion: 'isthmus.dev/v1',
    kind: 'BenchReport',
    started: new Date(started).toISOString(),
    seconds: Math.round((Date.now() - started) / 1000),
    machine: { kernel: release(), processor: cpus()[0]?.model.trim() ?? '', cpus: cpus().length, cpu },
    settings: { rounds: effort.rounds, runSeconds: effort.runSeconds, sections },
    ...(bed.masquerade === undefined ? {} : { masquerade: bed.masquerade }),
    missing,
    results: judge(samples, sections),
    peers: timesOf(samples, bed.peers),
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

/** A part that fails is missing, with its reason, and the others go on. Throws TestbedError when all of them failed. */
async function measureAll(measuring: Measuring): Promise<{ samples: Samples; missing: Missing[] }> {
  const { bed, sections, signal } = measuring;
  const missing: Missing[] = [...bed.missing];
  const attempt = async <T>(name: string, wanted: boolean, measure: () => Promise<T[]>): Promise<T[]> => {
    if (!wanted) return [];
    measuring.narrate(`measuring ${name}`);
    return measure().catch((error: Error) => {
      signal.throwIfAborted();
      missing.push({ name, reason: error.message });
      return [];
    });
  };
  const compared = COMPARISONS.some(({ section }) => sections.includes(section));
  const samples = {
    latency: await attempt('latency', compared, () => latency(measuring)),
    packets: await attempt('packets', sections.includes('packets'), () => packets(measuring)),
    programs: await attempt('programs', sections.includes('programs'), () => programs(measuring)),
    memory: await attempt('memory', sections.includes('memory'), () => measureMemory(bed.plan, signal)),
  };
  if (Object.values(samples).some((some) => some.length > 0)) return { samples, missing };
  throw new TestbedError(
    `nothing could be measured: ${missing.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`,
  );
}

function latency({ bed, effort, sections, signal, narrate }: Measuring): Promise<Samples['latency'][number][]> {
  const onRound = (round: number): void => narrate(`latency, round ${round} of ${effort.rounds}`);
  const { rounds, runSeconds: seconds } = effort;
  return measureLatency({ peers: comparedPeers(bed.peers, sections), rounds, seconds, cpu: bed.cpu, signal, onRound });
}

/** Those that the sections compare, and the pair that is measured twice. */
function comparedPeers(peers: readonly Peer[], sections: readonly Section[]): Peer[] {
  const wanted = COMPARISONS.filter(({ section }) => sections.includes(section));
  const names = new Set(['raw', 'raw-again', ...wanted.flatMap(({ subject, reference }) => [subject, reference])]);
  return peers.filter(({ name }) => names.has(name));
}

async function packets({ bed, effort, signal }: Measuring): Promise<Samples['packets'][number][]> {
  const paths = await listPaths(bed);
  return measureThroughput({ paths, rounds: effort.rounds, packets: effort.packets, cpu: bed.cpu, signal });
}

function programs({ bed, effort, signal }: Measuring): Promise<Samples['programs'][number][]> {
  return measureCost({ plan: bed.plan, batches: effort.batches, cpu: bed.cpu, signal });
}
