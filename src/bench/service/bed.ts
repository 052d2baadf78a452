// Builds what Services are measured on: a node of ours with its agent and pods, netfilter's nodes, a server in each.
import { readdirSync, rmSync } from 'node:fs';
import { writeAtomically } from '../../testbed/atomic-file.js';
import { capture, pause } from '../../testbed/command.js';
import { TestbedError } from '../../testbed/error.js';
import { PROBE } from '../../testbed/files.js';
import { askAgent, startAgent, waitForAgent } from '../../testbed/node-agent.js';
import { cgroupOf, createHomes } from '../../testbed/node-home.js';
import { startServers, wirePods } from '../bed.js';
import { writeManifests } from '../manifests.js';
import { type BenchNode, type BenchPlan, SERVER_PORT } from '../plan.js';
import { compilePrograms } from '../programs.js';
import type { Missing } from '../report.js';
import { buildTopology } from '../topology.js';
import { findKubeProxy, whyNotMeasured } from './kube-proxy/binary.js';
import { serviceManifests } from './manifests.js';
import { findNetfilterNodes, type NetfilterNode } from './netfilter.js';
import { planServiceBench, SERVICE_NODE, SERVICE_PODS } from './plan.js';
import type { ServedService } from './services.js';

/** A pod of our node. */
export interface ServicePod {
  readonly netns: string;
  readonly address: string;
}

export interface ServiceBed {
  readonly plan: BenchPlan;
  readonly node: BenchNode;
  /** With programs before the stack on its uplink. */
  readonly xdpNode: BenchNode;
  readonly client: ServicePod;
  readonly servers: readonly ServicePod[];
  /** Of the node: programs in it reach Services at the socket. undefined when this kernel cannot. */
  readonly cgroup?: string;
  readonly netfilter: readonly NetfilterNode[];
  readonly missing: readonly Missing[];
  readonly notes: readonly string[];
  readonly cpu: number;
}

const AGENT_MS = 120_000;

/** Throws TestbedError. */
export async function buildServiceBed(cpu: number, signal: AbortSignal): Promise<ServiceBed> {
  const plan = planServiceBench();
  const [node, xdpNode] = plan.nodes;
  if (!node || !xdpNode) throw new TestbedError('no node is planned');
  await compilePrograms();
  await createHomes(plan.nodes);
  await buildTopology(plan);
  signal.throwIfAborted();
  for (const one of plan.nodes) writeManifests(plan, one);
  await waitForAgent(node, startAgent(node, { attach: 'auto', sockets: 'auto', xdp: 'never' }));
  await waitForAgent(xdpNode, startAgent(xdpNode, { attach: 'auto', sockets: 'never', xdp: 'native' }));
  signal.throwIfAborted();
  const addresses = await wirePods(plan);
  const pod = (name: string): ServicePod => {
    const id = `${SERVICE_NODE}/${name}`;
    const planned = plan.pods.find((one) => one.id === id);
    return { netns: planned?.netns ?? '', address: addresses[id]?.ipv4 ?? '' };
  };
  const servers = SERVICE_PODS.servers.map(pod);
  const { nodes: netfilter, missing } = await findNetfilterNodes(plan);
  const kernelServers = netfilter.map((one) => one.node.pods[1]?.netns ?? '');
  const outside = plan.wires.map(({ right }) => right.netns);
  await startServers([...servers.map(({ netns }) => netns), ...kernelServers, ...outside], cpu);
  const { sockets } = (await askAgent(node))?.state ?? {};
  const bySocket = sockets?.mode === 'sockets';
  const reason = sockets?.reason ?? 'the agent does not say why';
  return {
    plan,
    node,
    xdpNode,
    client: pod(SERVICE_PODS.client),
    servers,
    ...(bySocket ? { cgroup: cgroupOf(node) } : {}),
    netfilter,
    missing: [...missing, ...(bySocket ? [] : [{ name: 'socket', reason }])],
    notes: [`kube-proxy: ${whyNotMeasured(await findKubeProxy(process.env))}`],
    cpu,
  };
}

/** Has the agent put Services in force, all others gone; resolves when they are, to the milliseconds that it took. */
export async function putServices({ node }: Pick<ServiceBed, 'node'>, services: readonly ServedService[]) {
  return changeManifests(node, () => writeServices(node, 'services.json', services));
}

/** One file of manifests. JSON, because it is read ten times as fast. */
export function writeServices(node: BenchNode, file: string, services: readonly ServedService[]): void {
  const items = services.flatMap(serviceManifests);
  writeAtomically(`${node.stateDir}/manifests/${file}`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

/** Removes the Services' files again. */
export async function removeServices({ node }: Pick<ServiceBed, 'node'>): Promise<void> {
  const directory = `${node.stateDir}/manifests`;
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  if (files.length === 0) return;
  await changeManifests(node, () => {
    for (const file of files) rmSync(`${directory}/${file}`);
  });
}

/** Milliseconds from the change to its being in force. Throws TestbedError when it does not get there. */
async function changeManifests(node: BenchNode, change: () => void): Promise<number> {
  const since = (await updatedOf(node)) ?? 0;
  change();
  const started = Date.now();
  for (;;) {
    const updated = await updatedOf(node);
    if (updated !== undefined && updated > since && updated >= started - 1) return updated - started;
    if (Date.now() - started > AGENT_MS)
      throw new TestbedError(`the agent of ${node.name} did not take up the Services within ${AGENT_MS / 1000} s`);
    await pause(200);
  }
}

async function updatedOf(node: BenchNode): Promise<number | undefined> {
  const status = await askAgent(node);
  return status && Date.parse(status.state.updated);
}

/** One connection through a Service: rules that carry nothing are not worth measuring. Throws TestbedError. */
export async function requireConnection(
  what: string,
  { netns, cgroup, address, port }: { netns: string; cgroup?: string; address: string; port: number },
): Promise<void> {
  const argv = [PROBE, 'tcp', address, String(port), 'who', '--timeout', '2000'];
  const result = await capture(argv, { netns, ...(cgroup === undefined ? {} : { cgroup }) });
  if (result.status === 0) return;
  throw new TestbedError(`${what}: no connection to ${address}:${port}: ${result.stderr.trim() || result.status}`);
}

/** Where servers listen. */
export const BACKEND_PORT = SERVER_PORT;
