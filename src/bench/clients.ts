// What clients of a server see: one on its own, or many at the same time, on the CPU of everything else.
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';

/** Requests on one connection, and connections with one request. */
export const TESTS = ['rr', 'crr'] as const;
export type Test = (typeof TESTS)[number];

export interface Client {
  readonly netns: string;
  readonly cgroup?: string;
  readonly address: string;
  readonly port: number;
  readonly test: Test;
  readonly serverCloses?: boolean;
}

export interface ClientOutcome {
  readonly count: number;
  readonly perSecond: number;
  /** Microseconds; not a number when no transaction came through. */
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

export interface ClientOptions {
  readonly seconds: number;
  readonly cpu: number;
  /** Of the monotonic clock, nanoseconds: all that have the same begin, and so end, together. */
  readonly start?: bigint;
}

/** For each process, until it waits for the common start. */
const STARTING_NS = 30_000_000n;

/** All begin and end together. */
export function runClients(clients: readonly Client[], options: ClientOptions): Promise<ClientOutcome[]> {
  const start = process.hrtime.bigint() + STARTING_NS * BigInt(clients.length);
  return Promise.all(clients.map((client) => runClient(client, { ...options, start })));
}

/** A client that fails has no transactions, and says why. */
export async function runClient(client: Client, options: ClientOptions): Promise<ClientOutcome> {
  const { netns, cgroup } = client;
  const { stdout, stderr } = await capture(argvOf(client, options), {
    netns,
    ...(cgroup === undefined ? {} : { cgroup }),
  });
  if (!stdout.startsWith('{')) return failed(stderr.trim() || 'the probe said nothing');
  const { count, perSecond, p50, p99, errors, synRetransmits, error } = JSON.parse(stdout) as ClientOutcome;
  if (count === 0) return failed(error ?? 'no transaction');
  return { count, perSecond, p50, p99, errors, synRetransmits, ...(error === undefined ? {} : { error }) };
}

function argvOf({ address, port, test, serverCloses = false }: Client, { seconds, cpu, start }: ClientOptions) {
  const words = [PROBE, 'bench', test, address, String(port), '--seconds', String(seconds), '--cpu', String(cpu)];
  const together = start === undefined ? [] : ['--start', String(start)];
  return [...words, '--fifo', '--cc', 'cubic', ...together, ...(serverCloses ? ['--server-closes'] : [])];
}

function failed(error: string): ClientOutcome {
  return { count: 0, perSecond: 0, p50: Number.NaN, p99: Number.NaN, errors: 1, synRetransmits: 0, error };
}
