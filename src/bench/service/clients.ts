// Clients that run at the same time, on the CPU of everything else.
import { capture } from '../../testbed/command.js';
import { PROBE } from '../../testbed/files.js';
import type { Test } from '../latency.js';

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
  /** Microseconds. */
  readonly p99: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

/** For each process, until it waits for the common start. */
const STARTING_NS = 30_000_000n;

/** All begin and end together. A client that fails has no transactions, and says why. */
export function runClients(
  clients: readonly Client[],
  { seconds, cpu }: { readonly seconds: number; readonly cpu: number },
): Promise<ClientOutcome[]> {
  const start = process.hrtime.bigint() + STARTING_NS * BigInt(clients.length);
  return Promise.all(clients.map((client) => runClient(client, ['--seconds', `${seconds}`, '--cpu', `${cpu}`], start)));
}

async function runClient(client: Client, flags: readonly string[], start: bigint): Promise<ClientOutcome> {
  const { netns, cgroup, address, port, test, serverCloses = false } = client;
  const words = [PROBE, 'bench', test, address, String(port), ...flags, '--fifo', '--cc', 'cubic'];
  const argv = [...words, '--start', String(start), ...(serverCloses ? ['--server-closes'] : [])];
  const { stdout, stderr } = await capture(argv, { netns, ...(cgroup === undefined ? {} : { cgroup }) });
  const nothing = { count: 0, perSecond: 0, p99: 0, errors: 1, synRetransmits: 0 };
  if (!stdout.startsWith('{')) return { ...nothing, error: stderr.trim() || 'the probe said nothing' };
  const { count, perSecond, p99, errors, synRetransmits, error } = JSON.parse(stdout) as ClientOutcome;
  return { count, perSecond, p99, errors, synRetransmits, ...(error === undefined ? {} : { error }) };
}
