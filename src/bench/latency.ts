// How long a transaction takes, peer by peer, in rounds of random order.
import { ALL_TESTS, type ClientOutcome, runClient, type Test } from './clients.js';
import type { Peer, PeerName } from './peers.js';
import { SERVER_PORT } from './plan.js';
import type { PathTime } from './report.js';
import { shuffle } from './statistics.js';
import { summarizeRuns } from './times.js';

/** One short run. Of one that failed there is no time, and its peer is named as missing with the reason. */
export interface LatencySample extends ClientOutcome {
  readonly peer: PeerName;
  readonly test: Test;
  readonly round: number;
}

/** What is done with whom. */
export interface LatencyRun {
  readonly peer: Peer;
  readonly test: Test;
}

export interface LatencyOptions {
  readonly runs: readonly LatencyRun[];
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  readonly cpu: number;
  readonly signal: AbortSignal;
  readonly onRound: (round: number) => void;
}

export async function measureLatency(options: LatencyOptions): Promise<LatencySample[]> {
  const samples: LatencySample[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    options.onRound(round);
    // Test by test, so that what is compared lies close together in time.
    const tests = shuffle([...Map.groupBy(options.runs, ({ test }) => test).values()]);
    for (const { peer, test } of tests.flatMap(shuffle)) {
      options.signal.throwIfAborted();
      samples.push({ peer: peer.name, test, round, ...(await runOnce(peer, test, options)) });
    }
  }
  return samples;
}

function runOnce({ client, server }: Peer, test: Test, options: LatencyOptions): Promise<ClientOutcome> {
  return runClient({ netns: client, address: server.address, port: SERVER_PORT, test }, options);
}

/** How long transactions take with each peer, in their order. */
export function timesOf(latency: readonly LatencySample[], peers: readonly Pick<Peer, 'name' | 'title'>[]): PathTime[] {
  return peers.flatMap(({ name, title }) =>
    ALL_TESTS.flatMap((test) => {
      const runs = latency.filter((sample) => sample.peer === name && sample.test === test);
      return runs.length === 0 ? [] : (summarizeRuns({ path: name, title, test }, runs) ?? []);
    }),
  );
}
