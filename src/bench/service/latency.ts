// How long requests and new connections take through a Service, by the number of Services, peer by peer.
import { type Client, type ClientOutcome, runClient, TESTS, type Test } from '../clients.js';
import { shuffle } from '../statistics.js';
import { BACKEND_PORT, putServices, requireConnection, type ServiceBed } from './bed.js';
import { type NetfilterNode, replaceRules } from './netfilter.js';
import type { NetfilterPeer } from './plan.js';
import { listServices, ownService, SERVICE_PORT, type ServedService } from './services.js';

/**
 * `direct`: the pod's own address on our node, by a client without our programs at its socket; `direct-hooked`: by one
 * with them, as every pod of a node has.
 */
export type ServicePeer = 'direct' | 'direct-again' | 'direct-hooked' | 'socket' | 'packet' | NetfilterPeer;

export interface ServiceLatencySample extends ClientOutcome {
  readonly peer: ServicePeer;
  readonly test: Test;
  /** Number of Services. */
  readonly services: number;
  readonly round: number;
}

/** Most Services that a peer is measured with: beyond, its tool takes minutes to write them. */
export type Limits = Readonly<Record<NetfilterPeer, number>>;

export interface ServiceLatencyOptions {
  readonly bed: ServiceBed;
  readonly sizes: readonly number[];
  readonly limits: Limits;
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onSize: (text: string) => void;
}

/** Backends of each of the others. */
export const BACKENDS = 3;

/** Where a client is and what it connects to. */
export interface Target extends Pick<Client, 'netns' | 'cgroup' | 'address' | 'port'> {
  readonly peer: ServicePeer;
}

export async function measureServiceLatency(options: ServiceLatencyOptions): Promise<ServiceLatencySample[]> {
  const samples: ServiceLatencySample[] = [];
  for (const services of options.sizes) {
    options.signal.throwIfAborted();
    options.onSize(`${services} Services: writing them`);
    const targets = await prepare(services, options);
    options.onSize(`${services} Services: ${targets.map(({ peer }) => peer).join(', ')}`);
    for (let round = 1; round <= options.rounds; round++) {
      const runs = shuffle(TESTS).flatMap((test) => shuffle(targets).map((target) => ({ target, test })));
      for (const { target, test } of runs) {
        options.signal.throwIfAborted();
        const { peer, ...client } = target;
        const outcome = await runClient({ ...client, test }, { seconds: options.seconds, cpu: options.bed.cpu });
        samples.push({ peer, test, services, round, ...outcome });
      }
    }
  }
  return samples;
}

/** Writes so many Services everywhere, and sees that each way carries a connection. */
async function prepare(count: number, { bed, limits }: ServiceLatencyOptions): Promise<Target[]> {
  const targets = await prepareOurs(count, bed);
  for (const node of bed.netfilter) if (count <= limits[node.peer]) targets.push(await prepareNetfilter(count, node));
  for (const target of targets) await requireConnection(`${target.peer}, ${count} Services`, target);
  return targets;
}

async function prepareOurs(count: number, bed: ServiceBed): Promise<Target[]> {
  const [server] = bed.servers;
  const own = measured(server?.address ?? '');
  await putServices(bed, listServices({ count, backends: BACKENDS, inTheMiddle: [own] }));
  const { netns } = bed.client;
  const direct = { netns, address: server?.address ?? '', port: BACKEND_PORT };
  const service = { netns, address: own.clusterIP, port: SERVICE_PORT };
  return [
    { peer: 'direct', ...direct },
    { peer: 'direct-again', ...direct },
    { peer: 'packet', ...service },
    ...(bed.cgroup === undefined ? [] : hookedTargets(bed.cgroup, direct, service)),
  ];
}

type Place = Omit<Target, 'peer' | 'cgroup'>;

function hookedTargets(cgroup: string, direct: Place, service: Place): Target[] {
  return [
    { peer: 'direct-hooked', ...direct, cgroup },
    { peer: 'socket', ...service, cgroup },
  ];
}

async function prepareNetfilter(count: number, node: NetfilterNode): Promise<Target> {
  const [client, server] = node.node.pods;
  const own = measured(server?.address ?? '');
  await replaceRules(node, listServices({ count, backends: BACKENDS, inTheMiddle: [own] }));
  return { peer: node.peer, netns: client.netns, address: own.clusterIP, port: SERVICE_PORT };
}

/** The Service that clients ask. */
export function measured(server: string): ServedService {
  return ownService(0, { name: 'measured', backends: [{ address: server, port: BACKEND_PORT }] });
}
