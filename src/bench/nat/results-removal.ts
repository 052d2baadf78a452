// Results of the removal of dead flows. Pure.
import { atMost } from '../ratios.js';
import { summarize } from '../statistics.js';
import { NAT_GOALS } from './goals.js';
import type { DelaySample, Disturbance, RemovalSamples, WalkSample } from './removal.js';
import type { NatResult } from './samples.js';

const WALKERS = {
  'same CPU': 'a walk for the agent, CPU of the packets',
  'other CPU': 'a walk for the agent, another CPU',
  timer: "the kernel's own walk, CPU of the packets",
} as const;

export function judgeRemoval(samples: RemovalSamples | undefined): NatResult[] {
  if (!samples) return [{ section: 'removal', name: 'a walk', what: '-', unit: 'ns', note: 'no table was walked' }];
  const { flows, walks, delays } = samples;
  return [
    judgeWalks(
      'an entry of a walk, none is dead',
      walks.filter(({ removed }) => removed === 0),
      flows,
    ),
    judgeWalks(
      'an entry of a walk, one in ten is dead',
      walks.filter(({ removed }) => removed > 0),
      flows,
    ),
    longest(delays, 'none', flows),
    ...(Object.keys(WALKERS) as (keyof typeof WALKERS)[]).map((walker) => judgeDelay(delays, walker, flows)),
  ];
}

function judgeWalks(name: string, walks: readonly WalkSample[], flows: number): NatResult {
  const base = { section: 'removal', name, what: `${flows} flows`, unit: 'ns' } as const;
  const spread = summarize(walks.map(({ nanoseconds, walked }) => nanoseconds / walked));
  if (!spread) return { ...base, note: 'there was no such walk' };
  const milliseconds = summarize(walks.map(({ nanoseconds }) => nanoseconds / 1e6))?.median ?? 0;
  const removed = summarize(walks.map((walk) => walk.removed))?.median ?? 0;
  const note = `${milliseconds.toFixed(0)} ms a walk, ${removed} of ${walks[0]?.walked} entries removed`;
  return { ...base, spread, ...atMost(spread, NAT_GOALS.walk), note };
}

/** What there is to be compared with. */
function longest(delays: readonly DelaySample[], disturbance: Disturbance, flows: number): NatResult {
  const runs = delays.filter((sample) => sample.disturbance === disturbance);
  const name = 'longest delay of a packet, nothing walks';
  const base = { section: 'removal', name, what: `${flows} flows`, unit: 'us' } as const;
  const spread = summarize(runs.map(({ max }) => max));
  return spread ? { ...base, spread, note: noteDelays(runs) } : { ...base, note: 'there was no such run' };
}

/** What a walk adds: the longest delay with it above the one without it in the same round. */
function judgeDelay(delays: readonly DelaySample[], walker: keyof typeof WALKERS, flows: number): NatResult {
  const quiet = new Map(delays.filter((one) => one.disturbance === 'none').map(({ round, max }) => [round, max]));
  const runs = delays.filter(({ disturbance, walked }) => disturbance === walker && walked > 0);
  const added = runs.map(({ round, max }) => max - (quiet.get(round) ?? Number.NaN)).filter(Number.isFinite);
  const name = `longest delay, more by ${WALKERS[walker]}`;
  const base = { section: 'removal', name, what: `${flows} flows`, unit: 'us' } as const;
  const spread = summarize(added);
  if (!spread) return { ...base, note: 'no walk happened while packets were sent' };
  return { ...base, spread, ...atMost(spread, NAT_GOALS.delay), note: noteDelays(runs) };
}

function noteDelays(runs: readonly DelaySample[]): string {
  const [first] = runs;
  const of = (value: (sample: DelaySample) => number): string => (summarize(runs.map(value))?.median ?? 0).toFixed(0);
  const worst = Math.max(...runs.map(({ max }) => max)).toFixed(0);
  const errors = runs.reduce((sum, run) => sum + run.errors, 0);
  const failed = errors === 0 ? '' : `, ${errors} unanswered`;
  return `p50 ${of(({ p50 }) => p50)}, p99.9 ${of(({ p999 }) => p999)}, worst ${worst} us of ${first?.count} packets a run${failed}`;
}
