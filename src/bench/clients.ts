// What clients of a server see: one on its own, or many at the same time, on the CPU of everything else.
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';

/** Requests on one connection, and connections with one request. */
export const TESTS = ['rr', 'crr'] as const;
/** The same, and requests in datagrams. */
export const ALL_TESTS = [...TESTS, 'udp_rr'] as const;
export type Test = (typeof ALL_TESTS)[number];

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
  /** Microseconds, from the histogram of a run; not a number when no transaction came through. */
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly errors: number;
  /** Segments that the client's namespace sent again, SYNs among them. */
  readonly retransmits: number;
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
  const said = JSON.parse(stdout) as ClientOutcome;
  return said.count === 0 ? failed(said.error ?? 'no transaction') : pick(said);
}

function argvOf({ address, port, test, serverCloses = false }: Client, { seconds, cpu, start }: ClientOptions) {
  const words = [PROBE, 'bench', test, address, String(port), '--seconds', String(seconds), '--cpu', String(cpu)];
  const together = start === undefined ? [] : ['--start', String(start)];
  return [...words, '--fifo', '--cc', 'cubic', ...together, ...(serverCloses ? ['--server-closes'] : [])];
}

/** The probe says more than that. */
function pick({ count, perSecond, error, ...said }: ClientOutcome): ClientOutcome {
  const { mean, p50, p90, p99, p999, errors, retransmits, synRetransmits } = said;
  const times = { mean, p50, p90, p99, p999 };
  const troubles = { errors, retransmits, synRetransmits, ...(error === undefined ? {} : { error }) };
  return { count, perSecond, ...times, ...troubles };
}

function failed(error: string): ClientOutcome {
  const none = Number.NaN;
  const times = { mean: none, p50: none, p90: none, p99: none, p999: none };
  return { count: 0, perSecond: 0, ...times, errors: 1, retransmits: 0, synRetransmits: 0, error };
}
