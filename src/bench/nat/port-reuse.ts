// Connections to one port of a server that closes first: its memory of them meets every port that is used again.
import { setSysctls } from '../../testbed/namespaces.js';
import { type ClientOutcome, runClients } from '../clients.js';
import { SERVER_PORT } from '../plan.js';
import { shuffle } from '../statistics.js';
import type { NatBed, NatPeer } from './bed.js';

export const POD_COUNTS = [1, 2, 8] as const;
export type Timestamps = 'on' | 'off';

/** One short run of some pods at once. */
export interface PortReuseSample {
  readonly peer: NatPeer;
  readonly pods: number;
  readonly timestamps: Timestamps;
  readonly round: number;
  /** Connections a second of all pods together: the mean, stalls included. */
  readonly perSecond: number;
  readonly connections: number;
  /** The worst pod's, microseconds. */
  readonly p99: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

export interface PortReuseOptions {
  readonly bed: NatBed;
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onRound: (round: number) => void;
}

type Run = Pick<PortReuseSample, 'peer' | 'pods' | 'timestamps'>;

export async function measurePortReuse(options: PortReuseOptions): Promise<PortReuseSample[]> {
  const samples: PortReuseSample[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    options.onRound(round);
    for (const run of orderRuns(options.bed)) {
      options.signal.throwIfAborted();
      samples.push({ ...run, round, ...(await runOnce(run, options)) });
    }
  }
  return samples;
}

/** What is compared lies close together in time; who is first changes. */
function orderRuns({ paths }: NatBed): Run[] {
  const peers = Object.keys(paths) as NatPeer[];
  const kinds = (['on', 'off'] as const).flatMap((timestamps) => POD_COUNTS.map((pods) => ({ timestamps, pods })));
  return shuffle(kinds).flatMap((kind) => shuffle(peers).map((peer) => ({ peer, ...kind })));
}

type Outcome = Omit<PortReuseSample, keyof Run | 'round'>;

async function runOnce(run: Run, { bed, seconds }: PortReuseOptions): Promise<Outcome> {
  const paths = (bed.paths[run.peer] ?? []).slice(0, run.pods);
  const setting = `net/ipv4/tcp_timestamps=${run.timestamps === 'on' ? 1 : 0}`;
  for (const { pod } of paths) await setSysctls(pod.netns, [setting]);
  const clients = paths.map(({ pod: { netns }, outside: { address } }) => {
    return { netns, address, port: SERVER_PORT, test: 'crr', serverCloses: true } as const;
  });
  const outcomes = await runClients(clients, { seconds, cpu: bed.cpu });
  const sum = (of: (outcome: ClientOutcome) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
  const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
  return {
    perSecond: sum(({ perSecond }) => perSecond),
    connections: sum(({ count }) => count),
    p99: Math.max(...outcomes.map(({ p99 }) => p99)),
    errors: sum(({ errors }) => errors),
    synRetransmits: sum(({ synRetransmits }) => synRetransmits),
    ...(error === undefined ? {} : { error }),
  };
}
