// Builds what the CNI plugins are measured on: our node with its agent, the other one, and pods without a network.
import { writeFileSync } from 'node:fs';
import { CNI_PATH, CNI_PLUGIN } from '../../testbed/files.js';
import { socketOf } from '../../testbed/node-agent.js';
import { createHomes } from '../../testbed/node-home.js';
import { startAgents } from '../bed.js';
import { BENCH_DIR, type BenchPlan, type BenchPod } from '../plan.js';
import { findReferencePlugins, pluginVersion } from '../reference-plugins.js';
import type { Missing } from '../report.js';
import { buildTopology } from '../topology.js';
import { bridgeStation, planCniBench } from './plan.js';

export type CniPeer = 'isthmus' | 'bridge';

/** Who can be asked to wire a pod. */
export interface CniPlugin {
  readonly peer: CniPeer;
  readonly program: string;
  /** File with the network configuration. */
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where the plugin runs: the node's namespace. */
  readonly netns: string;
}

export interface CniBed {
  readonly plan: BenchPlan;
  readonly pods: readonly BenchPod[];
  readonly plugins: readonly CniPlugin[];
  readonly missing: readonly Missing[];
  /** Of the reference plugins. */
  readonly versions: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

const REFERENCE_PLUGINS = ['bridge', 'host-local'];

/** Throws TestbedError. */
export async function buildCniBed(signal: AbortSignal): Promise<CniBed> {
  const plan = planCniBench();
  await createHomes(plan.nodes);
  await buildTopology(plan);
  signal.throwIfAborted();
  await startAgents(plan);
  const reference = findReference(plan);
  return {
    plan,
    pods: plan.pods,
    plugins: [...plan.nodes.map(describeOwn), ...('plugin' in reference ? [reference.plugin] : [])],
    missing: 'missing' in reference ? [{ name: 'bridge', reason: reference.missing }] : [],
    versions: 'plugin' in reference ? { bridge: await pluginVersion(reference.plugin.program) } : {},
    notes: ['bridge: bridge and host-local, both families, masqueraded; without portmap, a process more'],
  };
}

function describeOwn(node: BenchPlan['nodes'][number]): CniPlugin {
  return {
    peer: 'isthmus',
    program: CNI_PLUGIN,
    config: writeConfig('isthmus', { type: 'isthmus-cni', capabilities: { bandwidth: true } }),
    env: { CNI_PATH, ISTHMUS_SOCKET: socketOf(node) },
    netns: node.netns,
  };
}

function findReference(plan: BenchPlan): { readonly plugin: CniPlugin } | { readonly missing: string } {
  const found = findReferencePlugins(REFERENCE_PLUGINS);
  if ('missing' in found) return found;
  const { directory } = found;
  const ranges = ['10.245.1.0/24', 'fd00:10:245:1::/64'].map((subnet) => [{ subnet }]);
  const routes = ['0.0.0.0/0', '::/0'].map((dst) => ({ dst }));
  const ipam = { type: 'host-local', ranges, routes, dataDir: `${BENCH_DIR}/host-local` };
  const config = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, ipam };
  return {
    plugin: {
      peer: 'bridge',
      program: `${directory}/bridge`,
      config: writeConfig('bridge', config),
      env: { CNI_PATH: directory },
      netns: bridgeStation(plan).netns,
    },
  };
}

function writeConfig(peer: CniPeer, config: object): string {
  const path = `${BENCH_DIR}/${peer}.conf`;
  writeFileSync(path, JSON.stringify({ cniVersion: '1.0.0', name: 'bench', ...config }));
  return path;
}
