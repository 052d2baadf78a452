// Ratios of two paths that are paired round by round, what is to be known of them, and what they were to reach. Pure.
import type { Troubles } from './clients.js';
import type { Comparison } from './goals.js';
import type { PeerName } from './peers.js';
import type { Result } from './report.js';
import type { PathResult } from './samples.js';
import { notchOf, type Spread, summarize } from './statistics.js';
import { describeTroubles, noteOf } from './troubles.js';

/** A self-check is good this near to 1, whatever its rounds say. */
const SELF_CHECK_TOLERANCE = 0.01;

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

interface RatioOptions extends Pick<Comparison, 'section' | 'subject' | 'reference' | 'goal'> {
  readonly what: string;
  readonly ratios: readonly number[];
  /** Why there is none. */
  readonly reasons: readonly string[];
  /** What is to be known of it, when there is one. */
  readonly troubles?: readonly (string | undefined)[];
}

/** Of the rounds; without one, the reason. */
export function ratioOf({
  section,
  subject,
  reference,
  what,
  goal,
  ratios,
  reasons,
  troubles = [],
}: RatioOptions): PathResult {
  const compared = { path: subject, peer: reference };
  const base = { section, name: `${subject} / ${reference}`, what, unit: 'ratio', ...compared } as const;
  const spread = summarize(ratios);
  if (!spread) return { ...base, note: reasons.join('; ') || 'no round has both' };
  return { ...base, spread, ...atLeast(spread, goal), ...noteOf(troubles) };
}

type Run = Troubles & { readonly peer: PeerName };

interface Runs {
  readonly runs: readonly Run[];
  /** Those of them that measured nothing. */
  readonly failed: readonly Run[];
}

/** Why there is no ratio, if there is none, and what TCP had to do again, if it had to. */
export function saidOf({ subject, reference }: Pick<Comparison, 'subject' | 'reference'>, { runs, failed }: Runs) {
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

/** Whether what was compared with itself differs from 1 by no more than its rounds explain. */
export function isItself(spread: Spread): boolean {
  const { low, high, median } = spread;
  return (low <= 1 && high >= 1) || Math.abs(median - 1) <= Math.max(notchOf(spread), SELF_CHECK_TOLERANCE);
}

/** A goal and whether the median reaches it. */
export function atLeast({ median }: Spread, value: number | undefined): Pick<Result, 'goal' | 'met'> {
  return value === undefined ? {} : { goal: { kind: 'at-least', value }, met: median >= value };
}

/** A goal and whether the median stays below it. */
export function atMost({ median }: Spread, value: number | undefined): Pick<Result, 'goal' | 'met'> {
  return value === undefined ? {} : { goal: { kind: 'at-most', value }, met: median <= value };
}
