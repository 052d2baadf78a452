// From samples to results: medians of ratios that are paired round by round, and what they were to reach. Pure.
import type { Test, Troubles } from './clients.js';
import type { Comparison, PacketComparison, Section, StreamComparison } from './goals.js';
import {
  COMPARISONS,
  MEMORY_GOAL,
  PACKET_COMPARISONS,
  PROGRAM_GOALS,
  SELF_CHECK,
  STREAM_COMPARISONS,
} from './goals.js';
import type { PeerName } from './peers.js';
import type { Result } from './report.js';
import type { PathResult, Samples } from './samples.js';
import type { Spread } from './statistics.js';
import { notchOf, summarize } from './statistics.js';
import { describeTroubles, noteOf } from './troubles.js';

/** What the bare pair is compared with itself in. */
export const SELF_CHECKED: readonly Test[] = ['rr', 'crr', 'udp_first'];

/** A self-check is good this near to 1, whatever its rounds say. */
const SELF_CHECK_TOLERANCE = 0.01;

/** Every result of the sections, self-checks first. */
export function judge(samples: Samples, sections: readonly Section[]): PathResult[] {
  const { latency, streams, packets } = comparisonsOf(sections);
  const results = [
    ...selfChecks(samples, sections),
    ...latency.map((comparison) => compareLatency(samples, comparison)),
    ...streams.map((comparison) => compareStreams(samples, comparison)),
    ...listStreams(samples),
    ...packets.map((one) => comparePackets(samples, one)),
    ...listPacketTimes(samples),
  ];
  if (sections.includes('programs')) results.push(...samples.programs.flatMap(judgeProgram));
  if (sections.includes('memory')) results.push(judgeMemory(samples));
  return bySection(results, sections);
}

/** What the sections compare. */
export function comparisonsOf(sections: readonly Section[]) {
  const isWanted = ({ section }: { readonly section: Section }): boolean => sections.includes(section);
  return {
    latency: COMPARISONS.filter(isWanted),
    streams: STREAM_COMPARISONS.filter(isWanted),
    packets: PACKET_COMPARISONS.filter(isWanted),
  };
}

/** Those of the sections in their order, self-checks first; within a section as they are. */
function bySection(results: readonly PathResult[], sections: readonly Section[]): PathResult[] {
  return (['self-check', ...sections] as const).flatMap((name) => results.filter(({ section }) => section === name));
}

/** Each kind of a run that the sections need. */
function selfChecks(samples: Samples, sections: readonly Section[]): PathResult[] {
  const { latency, streams } = comparisonsOf(sections);
  const tests = SELF_CHECKED.filter((test) => latency.some((one) => one.test === test));
  return [
    ...tests.map((test) => selfCheck(test, pairedRatios(latencyTimes(samples, { test }), SELF_CHECK))),
    ...(streams.some(({ flows }) => flows === 1)
      ? [selfCheck('stream', pairedRatios(streamTimes(samples, 1), SELF_CHECK))]
      : []),
  ];
}

/** What a peer needed in a round. */
export interface Timed {
  readonly peer: string;
  readonly round: number;
  readonly time: number;
}

/** The reference's time divided by the subject's, in every round that has both. */
export function pairedRatios(
  times: readonly Timed[],
  { subject, reference }: { readonly subject: string; readonly reference: string },
): number[] {
  const subjects = new Map(times.filter(({ peer }) => peer === subject).map(({ round, time }) => [round, time]));
  return times
    .filter(({ peer }) => peer === reference)
    .map(({ round, time }) => time / (subjects.get(round) ?? Number.NaN))
    .filter(Number.isFinite);
}

type Workload = Pick<Comparison, 'test' | 'flows'>;

function runsOf({ latency }: Samples, { test, flows }: Workload): Samples['latency'] {
  return latency.filter((sample) => sample.test === test && sample.flows === flows);
}

/** Of many connections it is the time of a transaction, all of them together. */
function latencyTimes(samples: Samples, workload: Workload): Timed[] {
  return runsOf(samples, workload).map(({ peer, round, p50, perSecond, flows }) => {
    return { peer, round, time: flows === undefined || Number.isNaN(p50) ? p50 : 1e6 / perSecond };
  });
}

/** Nanoseconds of a byte. */
function streamTimes({ streams }: Samples, flows: number): Timed[] {
  return streams
    .filter((sample) => sample.flows === flows)
    .map(({ peer, round, gigabitsPerSecond }) => ({ peer, round, time: 8 / gigabitsPerSecond }));
}

function selfCheck(what: string, ratios: readonly number[]): PathResult {
  const spread = summarize(ratios);
  const compared = { path: SELF_CHECK.subject, peer: SELF_CHECK.reference };
  const base = { ...compared, section: 'self-check', name: 'one pair / the same again', what, unit: 'ratio' } as const;
  if (!spread) return { ...base, note: 'the bare veth pair could not be measured' };
  return { ...base, spread, goal: { kind: 'one', value: 1 }, met: isItself(spread) };
}

/** Whether what was compared with itself differs from 1 by no more than its rounds explain. */
export function isItself(spread: Spread): boolean {
  const { low, high, median } = spread;
  return (low <= 1 && high >= 1) || Math.abs(median - 1) <= Math.max(notchOf(spread), SELF_CHECK_TOLERANCE);
}

function compareLatency(samples: Samples, comparison: Comparison): PathResult {
  const { test, flows } = comparison;
  const runs = runsOf(samples, comparison);
  const what = flows === undefined ? test : `${test}, ${flows} connections`;
  const ratios = pairedRatios(latencyTimes(samples, comparison), comparison);
  const failed = runs.filter(({ p50 }) => Number.isNaN(p50));
  return ratio({ ...comparison, what, ratios, ...saidOf(comparison, { runs, failed }) });
}

function compareStreams(samples: Samples, comparison: StreamComparison): PathResult {
  const { flows } = comparison;
  const runs = samples.streams.filter((sample) => sample.flows === flows);
  const ratios = pairedRatios(streamTimes(samples, flows), comparison);
  const failed = runs.filter(({ gigabitsPerSecond }) => Number.isNaN(gigabitsPerSecond));
  return ratio({ ...comparison, what: streamName(flows), ratios, ...saidOf(comparison, { runs, failed }) });
}

function streamName(flows: number): string {
  return flows === 1 ? 'stream' : `stream, ${flows} connections`;
}

type Run = Troubles & { readonly peer: PeerName };

interface Runs {
  readonly runs: readonly Run[];
  /** Those of them that measured nothing. */
  readonly failed: readonly Run[];
}

/** Why there is no ratio, if there is none, and what TCP had to do again, if it had to. */
function saidOf({ subject, reference }: Pick<Comparison, 'subject' | 'reference'>, { runs, failed }: Runs) {
  const pair = [subject, reference] as const;
  const of = (some: readonly Run[], name: PeerName): Run[] => some.filter(({ peer }) => peer === name);
  const reasons = pair.flatMap((name) => {
    const own = of(runs, name);
    if (own.length === 0) return [`${name} is missing`];
    const why = of(failed, name);
    return why.length === own.length ? [`${name}: ${why[0]?.error ?? 'no transaction'}`] : [];
  });
  return { reasons, troubles: pair.map((name) => describeTroubles(name, of(runs, name))) };
}

/** Of all paths, with what stood in the way at either end. */
function listStreams({ streams }: Samples): PathResult[] {
  const groups = [...Map.groupBy(streams, ({ peer, flows }) => `${peer} ${flows}`).values()];
  return groups.flatMap((runs): PathResult[] => {
    const [first] = runs;
    const spread = summarize(runs.map(({ gigabitsPerSecond }) => gigabitsPerSecond).filter(Number.isFinite));
    if (first === undefined || spread === undefined || first.peer === SELF_CHECK.subject) return [];
    const { peer: path, flows } = first;
    const section = flows === 1 ? 'stream' : 'parallel';
    const base = { section, name: `  ${path}`, what: streamName(flows), unit: 'Gb/s', path, better: 'more' } as const;
    return [{ ...base, spread, ...noteOf([describeTroubles(path, runs)]) }];
  });
}

function comparePackets({ packets }: Samples, comparison: PacketComparison): PathResult {
  const runs = packets.filter(({ kind }) => kind === comparison.kind);
  const times = runs.map(({ peer, round, nanoseconds }) => ({ peer, round, time: nanoseconds }));
  const absent = [comparison.subject, comparison.reference].filter((name) => !runs.some(({ peer }) => peer === name));
  const reasons = absent.map((name) => `${name} is missing`);
  return ratio({ ...comparison, what: comparison.kind, ratios: pairedRatios(times, comparison), reasons });
}

/** On a saturated CPU, so that it is the CPU's time too. */
function listPacketTimes({ packets }: Samples): PathResult[] {
  const groups = [...Map.groupBy(packets, ({ peer, kind }) => `${kind} ${peer}`)].sort(([a], [b]) => (a < b ? -1 : 1));
  return groups.flatMap(([, runs]): PathResult[] => {
    const [first] = runs;
    const spread = summarize(runs.map(({ nanoseconds }) => nanoseconds).filter(Number.isFinite));
    if (first === undefined || spread === undefined) return [];
    const { peer: path, kind: what } = first;
    const section = what === '1 flow' ? 'packets' : 'new-flows';
    const lost = Math.max(...runs.map((run) => run.lost));
    const note = lost === 0 ? undefined : `up to ${(lost * 100).toFixed(2)} % of a run's packets were lost`;
    const name = `  ${path}, sender and sink included`;
    return [{ section, name, what, unit: 'ns', path, spread, ...noteOf([note]) }];
  });
}

interface RatioOptions extends Pick<Comparison, 'section' | 'subject' | 'reference' | 'goal'> {
  readonly what: string;
  readonly ratios: readonly number[];
  /** Why there is none. */
  readonly reasons: readonly string[];
  /** What is to be known of it, when there is one. */
  readonly troubles?: readonly (string | undefined)[];
}

function ratio({ section, subject, reference, what, goal, ratios, reasons, troubles = [] }: RatioOptions): PathResult {
  const compared = { path: subject, peer: reference };
  const base = { section, name: `${subject} / ${reference}`, what, unit: 'ratio', ...compared } as const;
  const spread = summarize(ratios);
  if (!spread) return { ...base, note: reasons.join('; ') || 'no round has both' };
  return { ...base, spread, ...atLeast(spread, goal), ...noteOf(troubles) };
}

/** A goal and whether the median reaches it. */
export function atLeast({ median }: Spread, value: number | undefined): Pick<Result, 'goal' | 'met'> {
  return value === undefined ? {} : { goal: { kind: 'at-least', value }, met: median >= value };
}

/** A goal and whether the median stays below it. */
export function atMost({ median }: Spread, value: number | undefined): Pick<Result, 'goal' | 'met'> {
  return value === undefined ? {} : { goal: { kind: 'at-most', value }, met: median <= value };
}

function judgeProgram({ name, net }: Samples['programs'][number]): PathResult[] {
  const spread = summarize(net);
  if (!spread) return [];
  return [
    {
      section: 'programs',
      name,
      what: '1 packet',
      unit: 'ns',
      path: name,
      spread,
      ...atMost(spread, PROGRAM_GOALS[name]),
    },
  ];
}

/** The largest of all agents is what has to fit. */
function judgeMemory({ memory }: Samples): PathResult {
  const base = { section: 'memory', name: 'agent, idle', what: 'resident', unit: 'MB', path: 'agent' } as const;
  const megabytes = memory.map(({ rssBytes }) => rssBytes / 1e6);
  const spread = summarize(megabytes);
  if (!spread) return { ...base, note: 'no agent was asked' };
  const value = MEMORY_GOAL / 1e6;
  return { ...base, spread, goal: { kind: 'at-most', value }, met: Math.max(...megabytes) <= value };
}
