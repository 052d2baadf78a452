// What clients of a server see: one on its own, or many at the same time, on the CPU of everything else.
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import { countedBetween, readTcpCounters, type TcpCounters } from './counters.js';

/** Requests on one connection, and connections with one request. */
export const TESTS = ['rr', 'crr'] as const;
/** The same, requests in datagrams, and those that each open a flow. */
export const ALL_TESTS = [...TESTS, 'udp_rr', 'udp_first'] as const;
export type Test = (typeof ALL_TESTS)[number];

export interface Client {
  readonly netns: string;
  readonly cgroup?: string;
  readonly address: string;
  readonly port: number;
  readonly test: Test;
  readonly serverCloses?: boolean;
  /** Connections of `rr` with a request each under way; one when absent. */
  readonly flows?: number;
  /** Of `udp_first`: the source port of its warm-up, and how many behind it open a flow each. */
  readonly sources?: { readonly port: number; readonly count: number };
}

/** What the client's own end counted, and the server's where it was looked at. */
export interface Troubles extends TcpCounters {
  readonly errors: number;
  readonly server?: TcpCounters;
  readonly error?: string;
}

export interface ClientOutcome extends Troubles {
  readonly count: number;
  readonly perSecond: number;
  /** Microseconds, from the histogram of a run; not a number when no transaction came through. */
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

export interface ClientOptions {
  readonly seconds: number;
  readonly cpu: number;
  /** Of the monotonic clock, nanoseconds: all that have the same begin, and so end, together. */
  readonly start?: bigint;
  /** A process in the server's namespace: what that end counts meanwhile is told, too. */
  readonly serverPid?: number | undefined;
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
  const said = await askProbe<ClientOutcome>({ ...client, words: wordsOf(client, options) }, options);
  if ('failure' in said) return failed(said.failure, said.server);
  return said.count === 0 ? failed(said.error ?? 'no transaction', said.server) : pick(said);
}

interface ProbeRun extends Pick<Client, 'netns' | 'cgroup'> {
  /** The test, where to, and its flags. */
  readonly words: readonly string[];
}

/** What a run of `bench` printed, or why it printed nothing. */
export async function askProbe<Said extends object>(
  { netns, cgroup, words }: ProbeRun,
  { cpu, serverPid }: Pick<ClientOptions, 'cpu' | 'serverPid'>,
): Promise<(Said | { readonly failure: string }) & Pick<Troubles, 'server'>> {
  const before = serverPid === undefined ? undefined : readTcpCounters(serverPid);
  const flags = ['--cpu', String(cpu), '--fifo', '--cc', 'cubic'];
  const inside = { netns, ...(cgroup === undefined ? {} : { cgroup }) };
  const { stdout, stderr } = await capture([PROBE, 'bench', ...words, ...flags], inside);
  const ends =
    before === undefined || serverPid === undefined
      ? {}
      : { server: countedBetween(before, readTcpCounters(serverPid)) };
  if (!stdout.startsWith('{')) return { failure: stderr.trim() || 'the probe said nothing', ...ends };
  return { ...(JSON.parse(stdout) as Said), ...ends };
}

function wordsOf(client: Client, { seconds, start }: ClientOptions): string[] {
  const { address, port, test, serverCloses = false, flows, sources } = client;
  return [
    ...[test, address, String(port), '--seconds', String(seconds)],
    ...(start === undefined ? [] : ['--start', String(start)]),
    ...(serverCloses ? ['--server-closes'] : []),
    ...(flows === undefined ? [] : ['--flows', String(flows)]),
    ...(sources === undefined ? [] : ['--source-port', String(sources.port), '--count', String(sources.count)]),
  ];
}

/** The probe says more than that. */
function pick({ count, perSecond, mean, p50, p90, p99, p999, ...said }: ClientOutcome): ClientOutcome {
  return { count, perSecond, mean, p50, p90, p99, p999, ...troublesOf(said) };
}

/** Of what a probe said. */
export function troublesOf({ errors, server, error, ...client }: Troubles): Troubles {
  const { retransmits, synRetransmits, resetsSent, connectionsReset } = client;
  return {
    ...{ errors, retransmits, synRetransmits, resetsSent, connectionsReset },
    ...(server === undefined ? {} : { server }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Of a run that measured nothing. */
export function failedTroubles(error: string, server: TcpCounters | undefined): Troubles {
  const none = { retransmits: 0, synRetransmits: 0, resetsSent: 0, connectionsReset: 0 };
  return { errors: 1, ...none, ...(server === undefined ? {} : { server }), error };
}

function failed(error: string, server?: TcpCounters): ClientOutcome {
  const none = Number.NaN;
  const times = { mean: none, p50: none, p90: none, p99: none, p999: none };
  return { count: 0, perSecond: 0, ...times, ...failedTroubles(error, server) };
}
