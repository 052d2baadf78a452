// How much passes on one connection in a second, peer by peer, in rounds of random order, on one saturated CPU.
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { Peer, PeerName } from './peers.js';
import { SERVER_PORT } from './plan.js';
import { shuffle } from './statistics.js';

export interface StreamSample {
  readonly peer: PeerName;
  readonly round: number;
  /** Of payload that was acknowledged; not a number when the run failed. */
  readonly gigabitsPerSecond: number;
  /** Segments that the client's namespace sent again. */
  readonly retransmits: number;
  readonly error?: string;
}

export interface StreamOptions {
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  readonly cpu: number;
  readonly signal: AbortSignal;
}

export async function measureStreams(options: StreamOptions): Promise<StreamSample[]> {
  const samples: StreamSample[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const peer of shuffle(options.peers)) {
      options.signal.throwIfAborted();
      samples.push({ peer: peer.name, round, ...(await runOnce(peer, options)) });
    }
  }
  return samples;
}

/** What the probe says of it. */
interface Report {
  readonly ok: boolean;
  readonly megabitsPerSecond: number;
  readonly retransmits: number;
  readonly error?: string;
}

async function runOnce({ client, server }: Peer, { seconds, cpu }: StreamOptions) {
  const words = [PROBE, 'bench', 'stream', server.address, String(SERVER_PORT), '--seconds', String(seconds)];
  const argv = [...words, '--cpu', String(cpu), '--fifo', '--cc', 'cubic'];
  const { stdout, stderr } = await capture(argv, { netns: client });
  if (!stdout.startsWith('{')) return failed(stderr.trim() || 'the probe said nothing');
  const said = JSON.parse(stdout) as Report;
  if (!said.ok) return failed(said.error ?? 'nothing passed');
  return { gigabitsPerSecond: said.megabitsPerSecond / 1000, retransmits: said.retransmits };
}

function failed(error: string): Omit<StreamSample, 'peer' | 'round'> {
  return { gigabitsPerSecond: Number.NaN, retransmits: 0, error };
}
