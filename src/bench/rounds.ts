// Rounds of runs, in random order, on one CPU: what is compared lies close together in time.
import type { Peer } from './peers.js';
import { shuffle } from './statistics.js';

/** What every measurement that has rounds needs. */
export interface Rounds {
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  readonly cpu: number;
  /** A process in the namespace of each server. */
  readonly servers: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
  readonly onRound: (round: number) => void;
}

/** Each run once a round, those of one workload after each other. Throws what the signal says. */
export async function measureInRounds<R extends { readonly peer: Peer }, S>(
  { rounds, signal, onRound }: Rounds,
  { runs, workloadOf }: { readonly runs: readonly R[]; readonly workloadOf: (run: R) => unknown },
  measure: (run: R, round: number) => Promise<S>,
): Promise<S[]> {
  const samples: S[] = [];
  for (let round = 1; round <= rounds; round++) {
    onRound(round);
    const workloads = shuffle([...Map.groupBy(runs, workloadOf).values()]);
    for (const run of workloads.flatMap((each) => shuffle(each))) {
      signal.throwIfAborted();
      samples.push(await measure(run, round));
    }
  }
  return samples;
}
