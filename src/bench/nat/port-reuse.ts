// Connections to one port of a server that closes first: its memory of them meets every port that is used again.
import { capture } from '../../testbed/command.js';
import { PROBE } from '../../testbed/files.js';
import { setSysctls } from '../../testbed/namespaces.js';
import type { PodPath } from '../paths.js';
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

/** For each process, until it waits for the common start. */
const STARTING_NS = 30_000_000n;

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
  const start = process.hrtime.bigint() + STARTING_NS * BigInt(paths.length);
  const outcomes = await Promise.all(paths.map((path) => connect(path, { seconds, start, cpu: bed.cpu })));
  const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
  const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
  return {
    perSecond: sum(({ perSecond }) => perSecond),
    connections: sum(({ connections }) => connections),
    p99: Math.max(...outcomes.map(({ p99 }) => p99)),
    errors: sum(({ errors }) => errors),
    synRetransmits: sum(({ synRetransmits }) => synRetransmits),
    ...(error === undefined ? {} : { error }),
  };
}

interface ProbeReport {
  readonly count: number;
  readonly perSecond: number;
  readonly p99: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

interface ConnectOptions {
  readonly seconds: number;
  /** Of the monotonic clock, nanoseconds: all pods begin, and so end, together. */
  readonly start: bigint;
  readonly cpu: number;
}

/** A run that fails has no connections, and says why. */
async function connect({ pod, outside }: PodPath, { seconds, start, cpu }: ConnectOptions): Promise<Outcome> {
  const words = ['bench', 'crr', outside.address, String(SERVER_PORT), '--seconds', String(seconds), '--server-closes'];
  const flags = ['--cpu', String(cpu), '--fifo', '--cc', 'cubic', '--start', String(start)];
  const { stdout, stderr } = await capture([PROBE, ...words, ...flags], { netns: pod.netns });
  const none = { perSecond: 0, connections: 0, p99: 0, errors: 1, synRetransmits: 0 };
  if (!stdout.startsWith('{')) return { ...none, error: stderr.trim() || 'the probe said nothing' };
  const { count, perSecond, p99, errors, synRetransmits, error } = JSON.parse(stdout) as ProbeReport;
  return { perSecond, connections: count, p99, errors, synRetransmits, ...(error === undefined ? {} : { error }) };
}
