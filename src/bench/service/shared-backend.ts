// Two Services with one backend, asked at the same time from one pod: their connections must not get in each other's way.
import { setSysctls } from '../../testbed/namespaces.js';
import { type Client, runClients } from '../clients.js';
import { shuffle } from '../statistics.js';
import { BACKEND_PORT, putServices, requireConnection, type ServiceBed } from './bed.js';
import { replaceRules } from './netfilter.js';
import type { NetfilterPeer } from './plan.js';
import { ownService, SERVICE_PORT, type ServedService } from './services.js';

/** `direct`: both clients ask the pod's own address. */
export type SharingPeer = 'direct' | 'packet' | 'socket' | NetfilterPeer;

export interface SharedBackendSample {
  readonly peer: SharingPeer;
  readonly round: number;
  /** Connections a second of both clients together: the mean, stalls included. */
  readonly perSecond: number;
  readonly connections: number;
  readonly errors: number;
  readonly synRetransmits: number;
  readonly error?: string;
}

export interface SharedBackendOptions {
  readonly bed: ServiceBed;
  readonly rounds: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

interface Pair {
  readonly peer: SharingPeer;
  readonly server: string;
  readonly clients: readonly Client[];
}

/** What a server that closes first remembers is what makes trouble; Linux' default on a machine with much memory. */
const TIME_WAITS = 262_144;

export async function measureSharedBackend(options: SharedBackendOptions): Promise<SharedBackendSample[]> {
  const { bed, rounds, seconds, signal } = options;
  const pairs = await preparePairs(bed);
  const servers = new Set(pairs.map(({ server }) => server));
  const samples: SharedBackendSample[] = [];
  try {
    for (const netns of servers) await setSysctls(netns, [`net/ipv4/tcp_max_tw_buckets=${TIME_WAITS}`]);
    for (let round = 1; round <= rounds; round++) {
      for (const { peer, clients } of shuffle(pairs)) {
        signal.throwIfAborted();
        const outcomes = await runClients(clients, { seconds, cpu: bed.cpu });
        const sum = (of: (outcome: (typeof outcomes)[number]) => number): number =>
          outcomes.reduce((total, one) => total + of(one), 0);
        const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
        samples.push({
          peer,
          round,
          perSecond: sum(({ perSecond }) => perSecond),
          connections: sum(({ count }) => count),
          errors: sum(({ errors }) => errors),
          synRetransmits: sum(({ synRetransmits }) => synRetransmits),
          ...(error === undefined ? {} : { error }),
        });
      }
    }
    return samples;
  } finally {
    for (const netns of servers) await setSysctls(netns, ['net/ipv4/tcp_max_tw_buckets=0']).catch(() => {});
  }
}

async function preparePairs(bed: ServiceBed): Promise<Pair[]> {
  const [server] = bed.servers;
  const { netns: server_netns = '', address = '' } = server ?? {};
  const both = twoServices(address);
  await putServices(bed, both);
  const { netns } = bed.client;
  const asking = (place: Pick<Client, 'netns' | 'cgroup'>): Client[] =>
    both.map(({ clusterIP }) => crr({ ...place, address: clusterIP, port: SERVICE_PORT }));
  const direct = crr({ netns, address, port: BACKEND_PORT });
  const pairs: Pair[] = [
    { peer: 'direct', server: server_netns, clients: [direct, direct] },
    { peer: 'packet', server: server_netns, clients: asking({ netns }) },
  ];
  if (bed.cgroup !== undefined)
    pairs.push({ peer: 'socket', server: server_netns, clients: asking({ netns, cgroup: bed.cgroup }) });
  for (const node of bed.netfilter) {
    const [client, backend] = node.node.pods;
    await replaceRules(node, twoServices(backend?.address ?? ''));
    pairs.push({ peer: node.peer, server: backend?.netns ?? '', clients: asking({ netns: client.netns }) });
  }
  for (const { peer, clients } of pairs) for (const client of clients) await requireConnection(peer, client);
  return pairs;
}

function crr(client: Omit<Client, 'test' | 'serverCloses'>): Client {
  return { ...client, test: 'crr', serverCloses: true };
}

function twoServices(address: string): ServedService[] {
  const backends = [{ address, port: BACKEND_PORT }];
  return [ownService(1, { name: 'first', backends }), ownService(2, { name: 'second', backends })];
}
