// From samples to results: medians of ratios that are paired round by round, and what they were to reach. Pure.
import type { Test } from './clients.js';
import { type Comparison, comparisonsOf, MEMORY_GOAL, PROGRAM_GOALS, SELF_CHECK, type Section } from './goals.js';
import { atMost, isItself, pairedRatios, ratioOf, saidOf, type Timed } from './ratios.js';
import { comparePackets, listPacketTimes } from './results-packets.js';
import { compareStreams, listStreams, streamTimes } from './results-streams.js';
import type { PathResult, Samples } from './samples.js';
import { summarize } from './statistics.js';

/** What the bare pair is compared with itself in. */
export const SELF_CHECKED: readonly Test[] = ['rr', 'crr', 'udp_first'];

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

function selfCheck(what: string, ratios: readonly number[]): PathResult {
  const spread = summarize(ratios);
  const compared = { path: SELF_CHECK.subject, peer: SELF_CHECK.reference };
  const base = { ...compared, section: 'self-check', name: 'one pair / the same again', what, unit: 'ratio' } as const;
  if (!spread) return { ...base, note: 'the bare veth pair could not be measured' };
  return { ...base, spread, goal: { kind: 'one', value: 1 }, met: isItself(spread) };
}

function compareLatency(samples: Samples, comparison: Comparison): PathResult {
  const { test, flows } = comparison;
  const runs = runsOf(samples, comparison);
  const what = flows === undefined ? test : `${test}, ${flows} connections`;
  const ratios = pairedRatios(latencyTimes(samples, comparison), comparison);
  const failed = runs.filter(({ p50 }) => Number.isNaN(p50));
  return ratioOf({ ...comparison, what, ratios, ...saidOf(comparison, { runs, failed }) });
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
