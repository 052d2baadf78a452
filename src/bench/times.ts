// How long transactions take on each path, without comparing: the spread over the rounds of each run's percentiles. Pure.
import type { ClientOutcome, Test } from './clients.js';
import type { PathTime } from './report.js';
import { type Spread, summarize } from './statistics.js';

/** A path and what was done on it. */
export interface TimedPath extends Pick<PathTime, 'path' | 'size'> {
  readonly test: Test;
  /** For people. */
  readonly title?: string;
}

const FIGURES = ['mean', 'p50', 'p90', 'p99', 'p999'] as const;

/** undefined when no run came through. */
export function summarizeRuns(about: TimedPath, runs: readonly ClientOutcome[]): PathTime | undefined {
  const spreads = FIGURES.flatMap((figure): [string, Spread][] => {
    const spread = summarize(runs.map((run) => run[figure]).filter(Number.isFinite));
    return spread ? [[figure, spread]] : [];
  });
  if (spreads.length < FIGURES.length) return undefined;
  const total = (of: (run: ClientOutcome) => number): number => runs.reduce((sum, run) => sum + of(run), 0);
  return {
    ...about,
    ...(Object.fromEntries(spreads) as Record<(typeof FIGURES)[number], Spread>),
    runs: runs.length,
    errors: total(({ errors }) => errors),
    retransmits: total(({ retransmits }) => retransmits),
    synRetransmits: total(({ synRetransmits }) => synRetransmits),
    ...(runs.every(({ server }) => server === undefined)
      ? {}
      : {
          serverRetransmits: total(({ server }) => server?.retransmits ?? 0),
          resets: total(({ resetsSent, server }) => resetsSent + (server?.resetsSent ?? 0)),
        }),
    troubled: runs.filter(({ errors, synRetransmits }) => errors + synRetransmits > 0).length,
  };
}

/** What both ends sent again. */
export function sentAgain({ retransmits, serverRetransmits = 0 }: PathTime): string {
  return String(retransmits + serverRetransmits);
}

/** Segments with RST of both ends; a dash where nobody looked. */
export function resetsOf({ resets }: PathTime): string {
  return resets === undefined ? '-' : String(resets);
}
