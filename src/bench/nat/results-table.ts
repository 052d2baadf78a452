// Results of what is not a comparison: how full a table can be, how ports are found, and what is remembered. Pure.
import { atMost } from '../ratios.js';
import { summarize } from '../statistics.js';
import { NAT_GOALS } from './goals.js';
import type { HistorySample } from './history.js';
import type { JournalSample } from './journal.js';
import { type ManyFlowsSample, REMOTE_PORTS } from './many-flows.js';
import { WIDE_BLOCK, WIDE_PODS } from './plan.js';
import type { ProbesAnswer } from './port-search.js';
import type { NatResult } from './samples.js';

/** Percentiles of looks that are told. */
const SHARES = [0.5, 0.99] as const;

/** There and back: each of the ways is a loss of its own. */
export function judgeManyFlows(samples: readonly ManyFlowsSample[]): NatResult[] {
  const base = { section: 'many-flows', unit: 'count' } as const;
  const [first] = samples;
  if (!first) return [{ ...base, name: 'packets lost', what: '-', note: 'nothing was sent' }];
  const what = `${first.flows} flows to ${REMOTE_PORTS} ports of one server`;
  const lossOf = (name: string, lost: (sample: ManyFlowsSample) => number, note: string): NatResult[] => {
    const losses = samples.map(lost);
    const spread = summarize(losses);
    const value = NAT_GOALS.lost;
    const goal = { kind: 'at-most', value } as const;
    return spread ? [{ ...base, name, what, spread, goal, met: Math.max(...losses) <= value, note }] : [];
  };
  return [
    ...lossOf(
      'packets lost to the server',
      ({ sent, arrived }) => sent - arrived,
      `${WIDE_PODS} pods behind one address, all ${WIDE_BLOCK} ports of each block in use to both`,
    ),
    ...lossOf('answers lost to the pods', ({ arrived, answered }) => arrived - answered, 'every packet is answered'),
    ...lossOf('flows that the table does not hold', ({ flows, held }) => flows - held, 'after each round'),
  ];
}

/** Ports looked at for a new flow. */
export function judgeProbes(answers: readonly ProbesAnswer[]): NatResult[] {
  return answers.flatMap((answer) => {
    const found = answer.buckets.reduce((sum, count) => sum + count, 0);
    const what = `block ${Math.round(answer.fill * 100)} % full`;
    const base = { section: 'probes', what, unit: 'count' } as const;
    const refused = summarize([answer.refused]);
    const looks = SHARES.map(
      (share) => `${share * 100} % of flows with up to ${looksAt(answer.buckets, found * share)}`,
    );
    const spread = spreadOfLooks(answer.buckets, found);
    const note = `${looks.join(', ')}; ${answer.live} ports in use, ${answer.trials} new flows`;
    const goal = { kind: 'at-most', value: 0 } as const;
    return [
      { ...base, name: 'ports looked at for a new flow', ...(spread ? { spread, note } : { note: 'none was found' }) },
      ...(refused ? [{ ...base, name: '  refused', spread: refused, goal, met: answer.refused === 0 }] : []),
    ];
  });
}

/** The upper end of a bucket: 1, 2, 4, 8, ... */
function looksAt(buckets: readonly number[], rank: number): number {
  let below = 0;
  for (const [index, count] of buckets.entries()) {
    below += count;
    if (below >= rank && below > 0) return 2 ** index;
  }
  return 0;
}

function spreadOfLooks(buckets: readonly number[], found: number): NatResult['spread'] {
  if (found === 0) return undefined;
  const at = (share: number): number => looksAt(buckets, found * share);
  return { median: at(0.5), low: at(0.25), high: at(0.75), count: found };
}

export function judgeJournal(samples: readonly JournalSample[]): NatResult[] {
  const base = { section: 'journal', unit: 'bytes' } as const;
  if (samples.length === 0)
    return [{ ...base, name: 'a million flows', what: '-', note: 'no flow was translated: run other sections too' }];
  return samples.flatMap(({ node, bytes, flows }) => {
    const spread = summarize([(bytes / flows) * 1e6]);
    const note = `${bytes} bytes of grants for ${flows} flows: blocks are recorded, flows are not`;
    return spread ? [{ ...base, name: 'a million flows', what: node, spread, note }] : [];
  });
}

export function judgeHistory(sample: HistorySample | undefined): NatResult[] {
  const base = { section: 'history', name: 'right answers', unit: '%' } as const;
  if (!sample) return [{ ...base, what: '-', note: 'no question was asked' }];
  const { questions, right, owned, pods, days } = sample;
  const what = `${days} days of a node`;
  const single = (value: number) => ({ median: value, low: value, high: value, count: questions });
  const share = single((right / questions) * 100);
  const time = single(sample.microseconds);
  const value = NAT_GOALS.history.right;
  return [
    {
      ...base,
      what,
      spread: share,
      goal: { kind: 'at-least', value },
      met: right === questions,
      note: `${questions} questions about ${pods} pods; ${owned} have an owner`,
    },
    { ...base, name: 'a question', what, unit: 'us', spread: time, ...atMost(time, NAT_GOALS.history.microseconds) },
    {
      ...base,
      name: 'the journal',
      what,
      unit: 'bytes',
      spread: { ...single(sample.bytes), count: 1 },
      note: `${sample.segments} segments, read in ${sample.readMs.toFixed(0)} ms`,
    },
  ];
}
