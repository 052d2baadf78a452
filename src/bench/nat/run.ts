// A whole benchmark of translation: build, measure section by section, judge, remove.
import { availableParallelism } from 'node:os';
import { ownBench } from '../owned.js';
import { BENCH_DIR } from '../plan.js';
import type { BenchReport } from '../report.js';
import { begin, chooseSections, head, measureSections } from '../sections.js';
import { listVersions } from '../versions.js';
import { buildNatBed, type NatBed } from './bed.js';
import { NAT_SECTIONS, type NatSection } from './goals.js';
import { measureHistory } from './history.js';
import { measureJournal } from './journal.js';
import { measureManyFlows } from './many-flows.js';
import { measureNatPackets, type PacketKind } from './packets.js';
import { planNatBench } from './plan.js';
import { measurePortReuse } from './port-reuse.js';
import { measureNatPrograms, measureProbes } from './programs.js';
import { measureRemoval } from './removal.js';
import { judgeNat } from './results.js';
import type { NatSamples } from './samples.js';

export interface NatBenchOptions {
  /** Shorter runs, fewer rounds: under three minutes. */
  readonly quick: boolean;
  /** Of each measurement. */
  readonly rounds?: number;
  /** All when empty. */
  readonly only: readonly NatSection[];
  readonly narrate: (line: string) => void;
}

/** How often and how long. */
interface Effort {
  /** Of what takes little time, and of what takes more. */
  readonly rounds: number;
  readonly longRounds: number;
  readonly packets: number;
  readonly newFlows: number;
  /** Of one run of connections. */
  readonly seconds: number;
  readonly trials: number;
  readonly questions: number;
  /** In the table, while it is walked. */
  readonly flows: number;
}

const QUICK: Effort = {
  rounds: 9,
  longRounds: 3,
  packets: 200_000,
  newFlows: 100_000,
  seconds: 0.4,
  trials: 2000,
  questions: 1_000_000,
  flows: 448_000,
};
const THOROUGH: Effort = {
  ...QUICK,
  rounds: 21,
  longRounds: 9,
  packets: 400_000,
  newFlows: 200_000,
  seconds: 1.2,
  trials: 10_000,
};

/** Throws TestbedError when nothing could be measured, InterruptedError after a signal; all is removed then. */
export function runNatBench(options: NatBenchOptions): Promise<BenchReport> {
  return ownBench(planNatBench(), (signal) => work(options, signal));
}

async function work(options: NatBenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const begun = begin(availableParallelism() - 1);
  const chosen = options.quick ? QUICK : THOROUGH;
  const effort = options.rounds ? { ...chosen, rounds: options.rounds, longRounds: options.rounds } : chosen;
  const sections = chooseSections(NAT_SECTIONS, options.only);
  options.narrate('building: 3 agents, 28 pods, 8 nodes and hosts');
  const bed = await buildNatBed(begun.machine.cpu, signal);
  const measuring = { bed, effort, signal, narrate: options.narrate };
  const { samples, missing } = await measureSections({
    ...measuring,
    sections,
    missing: bed.missing,
    empty: EMPTY,
    measure: (section, so) => measureSection(section, so, measuring),
  });
  return {
    ...head('nat', begun),
    settings: { quick: options.quick, rounds: effort.rounds, runSeconds: effort.seconds, sections },
    versions: await listVersions(bed.masquerade === undefined ? {} : { masquerade: bed.masquerade }),
    missing,
    notes: bed.notes,
    results: judgeNat(samples, sections),
    times: [],
    samples,
  };
}

interface Measuring {
  readonly bed: NatBed;
  readonly effort: Effort;
  readonly signal: AbortSignal;
  readonly narrate: (line: string) => void;
}

const EMPTY: NatSamples = { programs: [], packets: [], portReuse: [], manyFlows: [], probes: [], journal: [] };

/** What the section adds to the samples. */
function measureSection(
  section: NatSection,
  { packets }: NatSamples,
  { bed, effort, signal, narrate }: Measuring,
): Promise<Partial<NatSamples>> {
  const { rounds, longRounds, seconds, flows, trials, questions } = effort;
  const send = async (kinds: readonly PacketKind[]): Promise<Partial<NatSamples>> => {
    return { packets: [...packets, ...(await measureNatPackets({ bed, kinds, signal, ...effort }))] };
  };
  const onRound = (round: number): void => narrate(`${section}, round ${round} of ${longRounds}`);
  const measures: Readonly<Record<NatSection, () => Promise<Partial<NatSamples>>>> = {
    programs: async () => ({ programs: await measureNatPrograms({ bed, rounds, signal }) }),
    packets: () => send(['1 k flows', '50 k flows']),
    'new-flows': () => send(['new flows']),
    'port-reuse': async () => ({
      portReuse: await measurePortReuse({ bed, rounds: longRounds, seconds, signal, onRound }),
    }),
    'many-flows': async () => ({ manyFlows: await measureManyFlows({ bed, rounds: longRounds, signal }) }),
    probes: async () => ({ probes: await measureProbes(bed, trials) }),
    journal: async () => ({ journal: measureJournal(bed) }),
    history: async () => ({
      history: await measureHistory({ directory: `${BENCH_DIR}/history`, questions, signal }),
    }),
    removal: async () => ({ removal: await measureRemoval({ bed, flows, rounds: longRounds, signal }) }),
  };
  return measures[section]();
}
