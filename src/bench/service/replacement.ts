// Requests while all backends of a Service are replaced, again and again: none may fail.
import { pause } from '../../testbed/command.js';
import { type Client, runClients } from '../clients.js';
import { BACKEND_PORT, putServices, requireConnection, type ServiceBed, writeServices } from './bed.js';
import { listServices, ownService, SERVICE_PORT } from './services.js';

export interface ReplacementSample {
  readonly path: 'packet' | 'socket';
  readonly round: number;
  /** Of the set of backends, while clients asked. */
  readonly changes: number;
  /** New connections, and requests on one that was kept. */
  readonly connections: number;
  readonly requests: number;
  readonly errors: number;
  readonly synRetransmits: number;
  /** Microseconds of a new connection, connect to close. */
  readonly p99: number;
  readonly error?: string;
}

export interface ReplacementOptions {
  readonly bed: ServiceBed;
  readonly rounds: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Beside the one that changes. */
const OTHERS = 1000;
/** More than the agent waits for its directory to be quiet. */
const BETWEEN_MS = 120;
const FILE = 'replaced.json';

export async function measureReplacement({ bed, rounds, seconds, signal }: ReplacementOptions) {
  await putServices(bed, listServices({ count: OTHERS, backends: 3 }));
  // One, both, the other, both: as a rolling replacement goes.
  const [first, second] = bed.servers.map(({ address }) => ({ address, port: BACKEND_PORT }));
  if (!first || !second) throw new Error('two servers are needed');
  const steps = [[first], [first, second], [second], [first, second]];
  const write = (step: number): void =>
    writeServices(bed.node, FILE, [ownService(3, { name: 'replaced', backends: steps[step % steps.length] ?? [] })]);
  write(0);
  const { clusterIP } = ownService(3, { name: 'replaced', backends: [] });
  await pause(1000);
  const samples: ReplacementSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const path of bed.cgroup === undefined ? (['packet'] as const) : (['packet', 'socket'] as const)) {
      signal.throwIfAborted();
      const place = { netns: bed.client.netns, ...(path === 'socket' && bed.cgroup ? { cgroup: bed.cgroup } : {}) };
      const target = { ...place, address: clusterIP, port: SERVICE_PORT };
      await requireConnection(path, target);
      samples.push({ path, round, ...(await runWhileReplacing(target, write, { seconds, cpu: bed.cpu })) });
    }
  }
  return samples;
}

async function runWhileReplacing(
  target: Omit<Client, 'test'>,
  write: (step: number) => void,
  options: { readonly seconds: number; readonly cpu: number },
): Promise<Omit<ReplacementSample, 'path' | 'round'>> {
  const clients: Client[] = [
    { ...target, test: 'crr' },
    { ...target, test: 'rr' },
  ];
  let running = true;
  const outcome = runClients(clients, options).finally(() => {
    running = false;
  });
  let changes = 0;
  while (running) {
    write(++changes);
    await pause(BETWEEN_MS);
  }
  const [fresh, kept] = await outcome;
  if (!fresh || !kept) throw new Error('no client ran');
  const error = fresh.error ?? kept.error;
  return {
    changes,
    connections: fresh.count,
    requests: kept.count,
    errors: fresh.errors + kept.errors,
    synRetransmits: fresh.synRetransmits + kept.synRetransmits,
    p99: fresh.p99,
    ...(error === undefined ? {} : { error }),
  };
}
