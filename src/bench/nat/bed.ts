// Builds what translation is measured on: the nodes, their agents, their pods, and a server behind each.
import type { Endpoint } from '../../model/endpoint.js';
import { capture } from '../../testbed/command.js';
import { TestbedError } from '../../testbed/error.js';
import { askAgent } from '../../testbed/node-agent.js';
import { createHomes } from '../../testbed/node-home.js';
import { startAgents, startServers, wirePods } from '../bed.js';
import { setUpMasquerade } from '../masquerade.js';
import type { PodPath } from '../paths.js';
import type { BenchNode, BenchPlan, KernelNode } from '../plan.js';
import { stationOf } from '../plan.js';
import { compilePrograms } from '../programs.js';
import type { Missing } from '../report.js';
import { buildTopology } from '../topology.js';
import { planNatBench } from './plan.js';

/** Who translates, or does not, the same traffic. */
export type NatPeer = 'flat' | 'island' | 'masquerade';

export interface NatBed {
  readonly plan: BenchPlan;
  /** From each pod of a peer to its outside host; netfilter's may be missing. */
  readonly paths: Readonly<Partial<Record<NatPeer, readonly PodPath[]>>>;
  /** From each pod of the island with large blocks. */
  readonly wide: readonly PodPath[];
  readonly masquerade?: string;
  readonly missing: readonly Missing[];
  /** What a reader must know of this machine. */
  readonly notes: readonly string[];
  readonly cpu: number;
}

/** Throws TestbedError. */
export async function buildNatBed(cpu: number, signal: AbortSignal): Promise<NatBed> {
  const plan = planNatBench();
  await compilePrograms();
  await createHomes(plan.nodes);
  await buildTopology(plan);
  signal.throwIfAborted();
  await startAgents(plan);
  signal.throwIfAborted();
  await wirePods(plan);
  const masquerade = await setUpMasquerade(plan);
  const paths = await findPaths(plan);
  const servers = [...paths.values()].flatMap(([path]) => path?.outside.netns ?? []);
  await startServers(servers, cpu);
  signal.throwIfAborted();
  const translates = 'tool' in masquerade;
  return {
    plan,
    paths: {
      flat: paths.get('flat') ?? [],
      island: paths.get('island') ?? [],
      ...(translates ? { masquerade: paths.get('masq') ?? [] } : {}),
    },
    wide: paths.get('wide') ?? [],
    missing: translates ? [] : [{ name: 'masquerade', reason: masquerade.missing }],
    notes: translates ? await noteConntrack() : [],
    cpu,
    ...(translates ? { masquerade: masquerade.tool } : {}),
  };
}

/** Netfilter's flows cannot be removed at once without its tool. */
async function noteConntrack(): Promise<string[]> {
  const found = await capture(['conntrack', '--version']).catch(() => undefined);
  return found === undefined
    ? ['there is no conntrack tool: the table of netfilter keeps the flows of earlier runs until they time out']
    : [];
}

/** By name of the node. */
async function findPaths(plan: BenchPlan): Promise<Map<string, PodPath[]>> {
  const paths = new Map<string, PodPath[]>();
  for (const node of plan.nodes) paths.set(node.name, await ourPaths(plan, node));
  for (const node of plan.kernelNodes) paths.set(node.name, kernelPaths(plan, node));
  return paths;
}

async function ourPaths(plan: BenchPlan, node: BenchNode): Promise<PodPath[]> {
  const status = await askAgent(node);
  if (!status) throw new TestbedError(`the agent of ${node.name} does not answer`);
  return status.endpoints.map((endpoint) => ({
    pod: { netns: endpoint.netns.replace(/.*\//, ''), address: addressOf(endpoint, 'ipv4') },
    node: { netns: node.netns, device: endpoint.hostInterface },
    outside: outsideOf(plan, node.name),
  }));
}

function kernelPaths(plan: BenchPlan, node: KernelNode): PodPath[] {
  return node.pods.map((pod) => ({
    pod,
    node: { netns: node.netns, device: pod.device },
    outside: outsideOf(plan, node.name),
  }));
}

function outsideOf(plan: BenchPlan, node: string): PodPath['outside'] {
  const { netns, addresses } = stationOf(plan, `${node}-out`);
  return { netns, address: addresses.ipv4 };
}

/** Throws TestbedError when the pod has none of the family. */
export function addressOf({ pod, addresses }: Endpoint, family: 'ipv4' | 'ipv6'): string {
  const found = addresses.find((address) => address.includes(':') === (family === 'ipv6'));
  if (found === undefined) throw new TestbedError(`pod ${pod} has no ${family} address`);
  return found;
}
