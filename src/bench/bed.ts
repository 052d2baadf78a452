// Builds what is measured: topology, agents, pods, netfilter's node and a server for every peer; and removes it.
import { addPod } from '../testbed/cni.js';
import { capture, start, until } from '../testbed/command.js';
import { removeTestbed } from '../testbed/down.js';
import { TestbedError } from '../testbed/error.js';
import { PROBE } from '../testbed/files.js';
import type { AddressPair } from '../testbed/node.js';
import { startAgent, waitForAgent } from '../testbed/node-agent.js';
import { createHomes } from '../testbed/node-home.js';
import { openBarePath } from './bare.js';
import { JUMBO, planBench } from './bench-plan.js';
import { type BridgedPod, setUpBridges } from './bridge.js';
import { checkHostPorts, checkPeers } from './carry.js';
import { planCniBench } from './cni/plan.js';
import { writeManifests } from './manifests.js';
import { setUpMasquerade } from './masquerade.js';
import { planNatBench } from './nat/plan.js';
import { setUpWithoutTso } from './offloads.js';
import type { Peer } from './peers.js';
import { listPeers } from './peers.js';
import type { BenchPlan } from './plan.js';
import { allNamespaces, BENCH_DIR, SERVER_PORT } from './plan.js';
import { compilePrograms } from './programs.js';
import type { Missing } from './report.js';
import { planServiceBench } from './service/plan.js';
import { buildTopology } from './topology.js';

export interface Bed {
  readonly plan: BenchPlan;
  /** Who can be measured here. */
  readonly peers: readonly Peer[];
  /** Of the pods behind bridges, by id; none where the plugins are missing. */
  readonly bridged: Readonly<Record<string, BridgedPod>>;
  /** A process in the namespace of each server. */
  readonly servers: ReadonlyMap<string, number>;
  /** What the peers of others were set up with, by their names. */
  readonly versions: Readonly<Record<string, string>>;
  /** Who cannot. */
  readonly missing: readonly Missing[];
  /** The CPU on which everything that is measured runs. */
  readonly cpu: number;
}

/** Everything is up at the same time, so that rounds can go from one to the other. Throws TestbedError. */
export async function buildBed(plan: BenchPlan, cpu: number, signal: AbortSignal): Promise<Bed> {
  await createHomes(plan.nodes);
  await buildTopology(plan);
  signal.throwIfAborted();
  await startAgents(plan);
  signal.throwIfAborted();
  const ours = await wirePods(plan);
  const masquerade = await setUpMasquerade(plan);
  const bridges = await setUpBridges(plan);
  const bridged = 'pods' in bridges ? bridges.pods : {};
  const absent = [
    ...('missing' in masquerade ? [{ name: 'masquerade', reason: masquerade.missing }] : []),
    ...('missing' in bridges ? [{ name: 'bridge', reason: bridges.missing }] : []),
    ...(await openBarePaths(plan, cpu)),
    ...(await setUpWithoutTso(plan)),
  ];
  signal.throwIfAborted();
  const planned = listPeers(plan, { ours, bridged }).filter((peer) => absent.every(({ name }) => !isOf(peer, name)));
  const servers = await startServers(
    planned.map(({ server }) => server.netns),
    cpu,
  );
  signal.throwIfAborted();
  const silent = [...(await checkPeers(planned)), ...(await checkHostPorts(plan, planned))];
  const missing = [...absent, ...silent];
  const peers = planned.filter((peer) => silent.every(({ name }) => name !== peer.name));
  const versions = {
    ...('tool' in masquerade ? { masquerade: masquerade.tool } : {}),
    ...('version' in bridges ? { bridge: bridges.version } : {}),
  };
  return { plan, peers, bridged, servers, versions, missing, cpu };
}

/** One that is missing is so with large packets, too. */
function isOf({ name }: Peer, missing: string): boolean {
  return name === missing || name === `${missing}${JUMBO.suffix}`;
}

/** Their programs need a compiler; without one there are peers less. */
async function openBarePaths(plan: BenchPlan, cpu: number): Promise<Missing[]> {
  try {
    await compilePrograms();
    for (const path of plan.bare) await openBarePath(path, cpu);
    return [];
  } catch (error) {
    return plan.bare.map(({ name }) => ({ name, reason: (error as Error).message }));
  }
}

/** Removes what any of the benchmarks built. Returns what stayed; empty when nothing is left. */
export function removeBed(): Promise<string[]> {
  const plans = [planBench(), planNatBench(), planServiceBench(), planCniBench()];
  const nodes = plans.flatMap((plan) => plan.nodes);
  return removeTestbed({
    namespaces: [...new Set(plans.flatMap(allNamespaces))],
    nodes: nodes.filter(({ name }, index) => nodes.findIndex((other) => other.name === name) === index),
    directory: BENCH_DIR,
  });
}

export async function startAgents(plan: BenchPlan): Promise<void> {
  for (const node of plan.nodes) writeManifests(plan, node);
  const started = plan.nodes.map((node) => ({
    node,
    pid: startAgent(node, { attach: 'auto', sockets: 'never', xdp: 'never' }),
  }));
  await Promise.all(started.map(({ node, pid }) => waitForAgent(node, pid)));
}

/** CNI ADD for each; the addresses by pod id. */
export async function wirePods(plan: BenchPlan): Promise<Record<string, AddressPair>> {
  const pods: Record<string, AddressPair> = {};
  for (const pod of plan.pods) {
    const node = plan.nodes.find(({ name }) => name === pod.node);
    if (node) pods[pod.id] = await addPod(pod, node);
  }
  return pods;
}

/**
 * On the CPU of the clients: what two CPUs say to each other would hide everything else. Returns their processes by
 * namespace.
 */
export async function startServers(namespaces: readonly string[], cpu: number): Promise<Map<string, number>> {
  const flags = ['--port', String(SERVER_PORT), '--cpu', String(cpu), '--fifo', '--cc', 'cubic'];
  const servers = new Map<string, number>();
  for (const netns of new Set(namespaces)) {
    servers.set(netns, start([PROBE, 'bench-server', ...flags], { netns, log: `${BENCH_DIR}/servers.log` }));
    const argv = [PROBE, 'tcp', '127.0.0.1', String(SERVER_PORT), 'who', '--timeout', '500'];
    const up = await until(async () => (await capture(argv, { netns })).status === 0, 5000);
    if (!up) throw new TestbedError(`the server in ${netns} does not listen; see ${BENCH_DIR}/servers.log`);
  }
  return servers;
}
