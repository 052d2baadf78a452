// Builds what is measured: topology, agents, pods, netfilter's node and a server for every peer; and removes it.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { addPod } from '../testbed/cni.js';
import { capture, start, until } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import { startAgent, waitForAgent } from '../testbed/node-agent.js';
import { createHomes, removeHomes } from '../testbed/node-home.js';
import type { LabPlan } from '../lab/plan.js';
import { evict } from '../testbed/residents.js';
import { deleteNamespaces } from '../testbed/namespaces.js';
import { writeManifests } from './manifests.js';
import type { Masquerade } from './masquerade.js';
import { setUpMasquerade } from './masquerade.js';
import { listPeers } from './peers.js';
import type { Peer } from './peers.js';
import type { AddressPair } from '../testbed/node.js';
import type { BenchPlan } from './plan.js';
import { allNamespaces, BENCH_DIR, planBench, SERVER_PORT } from './plan.js';
import { buildTopology } from './topology.js';

export interface Bed {
  readonly plan: BenchPlan;
  readonly peers: readonly Peer[];
  readonly masquerade: Masquerade;
  readonly cpu: number;
}

export class BenchError extends Error {
  readonly code = 'ERR_BENCH';
}

export async function bringUp(cpu: number, narrate: (line: string) => void): Promise<Bed> {
  const plan = planBench();
  const left = await takeDown();
  if (left.length > 0) throw new BenchError(`cannot remove an earlier benchmark: ${left.join(', ')} stayed`);
  mkdirSync(BENCH_DIR, { recursive: true });
  narrate('topology, agents and pods');
  await createHomes({ clusters: [{ nodes: plan.nodes }] } as unknown as LabPlan);
  await buildTopology(plan);
  for (const node of plan.nodes) writeManifests(plan, node);
  const started = plan.nodes.map((node) => ({ node, pid: startAgent(node, 'auto') }));
  await Promise.all(started.map(({ node, pid }) => waitForAgent(node, pid)));
  const pods: Record<string, AddressPair> = {};
  for (const pod of plan.pods) {
    const node = plan.nodes.find(({ name }) => name === pod.node);
    if (node) pods[pod.id] = await addPod(pod, node);
  }
  const masquerade = await setUpMasqueradeOf(plan);
  const peers = listPeers(plan, pods);
  await startServers(peers, cpu);
  return { plan, peers, masquerade, cpu };
}

async function setUpMasqueradeOf(plan: BenchPlan): Promise<Masquerade> {
  const node = plan.kernelNodes.find(({ masquerade }) => masquerade);
  if (!node) throw new BenchError('the plan has no node for masquerade');
  return setUpMasquerade(node);
}

async function startServers(peers: readonly Peer[], cpu: number): Promise<void> {
  const flags = ['--port', String(SERVER_PORT), '--cpu', String(cpu), '--fifo', '--cc', 'cubic'];
  for (const netns of new Set(peers.map(({ server }) => server.netns))) {
    start([PROBE, 'bench-server', ...flags], { netns, log: `${BENCH_DIR}/servers.log` });
    const argv = [PROBE, 'tcp', '127.0.0.1', String(SERVER_PORT), 'who', '--timeout', '500'];
    const up = await until(async () => (await capture(argv, { netns })).status === 0, 5000);
    if (!up) throw new BenchError(`the server in ${netns} does not listen; see ${BENCH_DIR}/servers.log`);
  }
}

/** Returns what stayed; empty when nothing of a benchmark is left. */
export async function takeDown(): Promise<string[]> {
  const plan = planBench();
  await evict(existing(plan));
  const homes = await removeHomes({ clusters: [{ nodes: plan.nodes }] } as unknown as LabPlan);
  const stayed = await evict(existing(plan));
  const namespaces = await deleteNamespaces(existing(plan));
  if (!homes.some((left) => left.startsWith('mount'))) rmSync(BENCH_DIR, { recursive: true, force: true });
  return [...stayed.map(({ pid, netns }) => `process ${pid} in ${netns}`), ...homes, ...namespaces];
}

function existing(plan: BenchPlan): string[] {
  const names = existsSync('/run/netns') ? new Set(readdirSync('/run/netns')) : new Set<string>();
  return allNamespaces(plan).filter((name) => names.has(name));
}
