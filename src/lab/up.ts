// Builds the lab: topology, agents, pods, servers; in that order, because each needs the one before.
import { addPod } from '../testbed/cni.js';
import { requireBuild } from '../testbed/files.js';
import type { AddressPair } from '../testbed/node.js';
import { startAgent, waitForAgent, waitForChange } from '../testbed/node-agent.js';
import { createHomes } from '../testbed/node-home.js';
import { takeDown } from './down.js';
import { writeManifests, writeSlices } from './manifests.js';
import type { LabPlan } from './plan.js';
import { allNodes, allPods, planLab } from './plan.js';
import type { LabRecord } from './record.js';
import { LabError, writeRecord } from './record.js';
import { startServers } from './servers.js';
import { buildTopology, makeWires } from './topology.js';

export interface Progress {
  /** Says what is being done, for people. */
  readonly narrate: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Brings a lab up; one that exists is taken down first. A failure leaves what was built, for a look inside. */
export async function bringUp(record: LabRecord, { narrate, signal }: Progress): Promise<LabRecord> {
  requireBuild('a lab');
  const left = await takeDown();
  if (left.length > 0) throw new LabError(`cannot remove the lab that exists: ${left.join(', ')} stayed`);
  writeRecord(record);
  const plan = planLab(record.mode);
  narrate(`topology: 2 clusters, 4 nodes, 6 pods, a router, an outside client and server (${record.mode} mode)`);
  await createHomes(allNodes(plan));
  signal.throwIfAborted();
  await buildTopology(plan);
  if (record.choices.xdp === 'native' || record.choices.xdp === 'generic') await makeWires(plan);
  signal.throwIfAborted();
  narrate('agents: one a node');
  await startAgents(plan, record);
  narrate('pods: wired by the CNI plugin');
  const pods = await wirePods(plan);
  signal.throwIfAborted();
  const since = Date.now();
  for (const cluster of plan.clusters) writeSlices(cluster, pods);
  const complete = { ...record, pods };
  writeRecord(complete);
  await Promise.all([startServers(plan), waitForChange(allNodes(plan), since)]);
  return complete;
}

async function startAgents(plan: LabPlan, record: LabRecord): Promise<void> {
  for (const cluster of plan.clusters) writeManifests(cluster);
  const started = allNodes(plan).map((node) => ({ node, pid: startAgent(node, record.choices) }));
  await Promise.all(started.map(({ node, pid }) => waitForAgent(node, pid)));
}

async function wirePods(plan: LabPlan): Promise<Record<string, AddressPair>> {
  const nodes = new Map(allNodes(plan).map((node) => [node.name, node]));
  const pods: Record<string, AddressPair> = {};
  for (const pod of allPods(plan)) {
    const node = nodes.get(pod.node);
    if (node) pods[pod.id] = await addPod(pod, node);
  }
  return pods;
}
