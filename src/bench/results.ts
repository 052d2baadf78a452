// From samples to results: medians of ratios that are paired round by round, and what they were to reach. Pure.

import { TESTS } from './clients.js';
import type { Comparison, Section } from './goals.js';
import {
  COMPARISONS,
  MEMORY_GOAL,
  PACKET_COMPARISONS,
  PROGRAM_GOALS,
  SELF_CHECK,
  STREAM_COMPARISONS,
} from './goals.js';
import type { Result } from './report.js';
import type { PathResult, Samples } from './samples.js';
import type { Spread } from './statistics.js';
import { notchOf, summarize } from './statistics.js';

/** A self-check is good this near to 1, whatever its rounds say. */
const SELF_CHECK_TOLERANCE = 0.01;

/** Every result of the sections, self-checks first. */
export function judge(samples: Samples, sections: readonly Section[]): PathResult[] {
  const wanted = COMPARISONS.filter(({ section }) => sections.includes(section));
  const results = [
    ...(wanted.length > 0 ? TESTS.map((test) => selfCheck(samples, test)) : []),
    ...wanted.map((comparison) => compareLatency(samples, comparison)),
  ];
  if (sections.includes('stream')) results.push(...STREAM_COMPARISONS.map((one) => compareStreams(samples, one)));
  if (sections.includes('packets')) {
    results.push(...PACKET_COMPARISONS.map((one) => comparePackets(samples, one)), ...listPacketTimes(samples));
  }
  if (sections.includes('programs')) results.push(...samples.programs.flatMap(judgeProgram));
  if (sections.includes('memory')) results.push(judgeMemory(samples));
  return results;
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

function latencyTimes({ latency }: Samples, test: Comparison['test']): Timed[] {
  return latency.filter((sample) => sample.test === test).map(({ peer, round, p50 }) => ({ peer, round, time: p50 }));
}

function selfCheck(samples: Samples, test: Comparison['test']): PathResult {
  const spread = summarize(pairedRatios(latencyTimes(samples, test), SELF_CHECK));
  const compared = { path: SELF_CHECK.subject, peer: SELF_CHECK.reference };
  const base = {
    ...compared,
    section: 'self-check',
    name: 'one pair / the same again',
    what: test,
    unit: 'ratio',
  } as const;
  if (!spread) return { ...base, note: 'the bare veth pair could not be measured' };
  return { ...base, spread, goal: { kind: 'one', value: 1 }, met: isItself(spread) };
}

/** Whether what was compared with itself differs from 1 by no more than its rounds explain. */
export function isItself(spread: Spread): boolean {
  const { low, high, median } = spread;
  return (low <= 1 && high >= 1) || Math.abs(median - 1) <= Math.max(notchOf(spread), SELF_CHECK_TOLERANCE);
}

function compareLatency(samples: Samples, comparison: Comparison): PathResult {
  const ratios = pairedRatios(latencyTimes(samples, comparison.test), comparison);
  const reasons = [comparison.subject, comparison.reference].flatMap((peer) =>
    failureOf(samples, peer, comparison.test),
  );
  return ratio({ ...comparison, what: comparison.test, ratios, reasons });
}

function failureOf({ latency }: Samples, peer: string, test: Comparison['test']): string[] {
  const runs = latency.filter((sample) => sample.peer === peer && sample.test === test);
  if (runs.length === 0) return [`${peer} is missing`];
  return runs.every(({ p50 }) => Number.isNaN(p50)) ? [`${peer}: ${runs[0]?.error ?? 'no transaction'}`] : [];
}

function compareStreams({ streams }: Samples, comparison: (typeof STREAM_COMPARISONS)[number]): PathResult {
  const times = streams.map(({ peer, round, gigabitsPerSecond }) => ({ peer, round, time: 1 / gigabitsPerSecond }));
  const both = [comparison.subject, comparison.reference].map((name) => streams.filter(({ peer }) => peer === name));
  const reasons = both.flatMap((runs, index) => {
    const name = index === 0 ? comparison.subject : comparison.reference;
    if (runs.length === 0) return [`${name} is missing`];
    return runs.every(({ gigabitsPerSecond }) => Number.isNaN(gigabitsPerSecond)) ? [`${name}: ${runs[0]?.error}`] : [];
  });
  const result = ratio({
    ...comparison,
    section: 'stream',
    what: 'stream',
    ratios: pairedRatios(times, comparison),
    reasons,
  });
  const speeds = both.map(
    (runs) => summarize(runs.map(({ gigabitsPerSecond }) => gigabitsPerSecond).filter(Number.isFinite))?.median,
  );
  const note = `${speeds.map((speed) => speed?.toFixed(1)).join(' / ')} Gb/s`;
  return result.spread === undefined ? result : { ...result, note };
}

function comparePackets({ packets }: Samples, comparison: (typeof PACKET_COMPARISONS)[number]): PathResult {
  const times = packets.map(({ peer, round, nanoseconds }) => ({ peer, round, time: nanoseconds }));
  const absent = [comparison.subject, comparison.reference].filter(
    (name) => !packets.some(({ peer }) => peer === name),
  );
  const reasons = absent.map((name) => `${name} is missing`);
  return ratio({ ...comparison, section: 'packets', what: '1 flow', ratios: pairedRatios(times, comparison), reasons });
}

/** On a saturated CPU, so that it is the CPU's time too. */
function listPacketTimes({ packets }: Samples): PathResult[] {
  return [...new Set(packets.map(({ peer }) => peer))].sort().flatMap((path): PathResult[] => {
    const runs = packets.filter(({ peer }) => peer === path);
    const spread = summarize(runs.map(({ nanoseconds }) => nanoseconds).filter(Number.isFinite));
    const lost = Math.max(...runs.map((run) => run.lost));
    const note = lost === 0 ? {} : { note: `up to ${(lost * 100).toFixed(2)} % of a run's packets were lost` };
    const name = `  ${path}, sender and sink included`;
    return spread ? [{ section: 'packets', name, what: '1 flow', unit: 'ns', path, spread, ...note }] : [];
  });
}

interface RatioOptions extends Omit<Comparison, 'test'> {
  readonly what: string;
  readonly ratios: readonly number[];
  /** Why there is none. */
  readonly reasons: readonly string[];
}

function ratio({ section, subject, reference, what, goal, ratios, reasons }: RatioOptions): PathResult {
  const compared = { path: subject, peer: reference };
  const base = { section, name: `${subject} / ${reference}`, what, unit: 'ratio', ...compared } as const;
  const spread = summarize(ratios);
  if (!spread) return { ...base, note: reasons.join('; ') || 'no round has both' };
  return { ...base, spread, ...atLeast(spread, goal) };
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
