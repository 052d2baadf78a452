// How long a transaction takes, peer by peer, in rounds of random order.
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { Peer, PeerName } from './peers.js';
import { SERVER_PORT } from './plan.js';
import { shuffle } from './statistics.js';

export const TESTS = ['rr', 'crr'] as const;
export type Test = (typeof TESTS)[number];

/** One short run. Times in microseconds. */
export interface LatencySample {
  readonly peer: PeerName;
  readonly test: Test;
  readonly round: number;
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  readonly count: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

export interface LatencyOptions {
  readonly peers: readonly Peer[];
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
    const runs = shuffle(TESTS).flatMap((test) => shuffle(options.peers).map((peer) => ({ peer, test })));
    for (const { peer, test } of runs) {
      options.signal.throwIfAborted();
      samples.push({ peer: peer.name, test, round, ...(await runOnce(peer, test, options)) });
    }
  }
  return samples;
}

type Outcome = Omit<LatencySample, 'peer' | 'test' | 'round'>;

/** A run that fails is a sample without a time, so that its peer is named as missing with the reason. */
async function runOnce(peer: Peer, test: Test, { seconds, cpu }: LatencyOptions): Promise<Outcome> {
  const words = ['bench', test, peer.server.address, String(SERVER_PORT), '--seconds', String(seconds)];
  const flags = ['--cpu', String(cpu), '--fifo', '--cc', 'cubic'];
  const { stdout, stderr } = await capture([PROBE, ...words, ...flags], { netns: peer.client });
  const line = stdout.trim();
  if (!line.startsWith('{')) return failed(stderr.trim() || 'the probe said nothing');
  const { p50, p99, perSecond, count, errors, synRetransmits, error } = JSON.parse(line) as Outcome;
  if (count === 0) return failed(error ?? 'no transaction');
  return { p50, p99, perSecond, count, errors, synRetransmits, ...(error === undefined ? {} : { error }) };
}

function failed(error: string): Outcome {
  return { p50: Number.NaN, p99: Number.NaN, perSecond: 0, count: 0, errors: 1, synRetransmits: 0, error };
}
