// The peer that most clusters know: pods behind a bridge, wired by the CNI project's own plugins.
import type { IpAddress } from '../model/address.js';
import { capture, run } from '../testbed/command.js';
import { BRIDGE_PODS } from './bench-plan.js';
import { BENCH_DIR, type BenchPlan, type BridgeNode, type BridgePod, SERVER_PORT } from './plan.js';
import { findReferencePlugins, pluginError, pluginVersion } from './reference-plugins.js';

/** Where a pod ended up. */
export interface BridgedPod {
  readonly address: IpAddress;
  /** Its veth's side on the node. */
  readonly device: string;
}

/** By pod id, with what they were wired by; or why they were not. */
export type Bridges =
  | { readonly pods: Readonly<Record<string, BridgedPod>>; readonly version: string }
  | { readonly missing: string };

/** The device that is the pods' gateway. */
export const BRIDGE = 'cni0';
const PLUGINS = ['bridge', 'host-local', 'portmap'];
const NETWORK = { cniVersion: '1.0.0', name: 'bench' } as const;

/** Wires the pods of all such nodes. A machine without the plugins has peers less, which is no error. */
export async function setUpBridges({ bridges }: Pick<BenchPlan, 'bridges'>): Promise<Bridges> {
  const found = findReferencePlugins(PLUGINS);
  if ('missing' in found) return found;
  try {
    const pods: Record<string, BridgedPod> = {};
    for (const node of bridges) {
      for (const pod of node.pods) pods[pod.id] = await addPod(found.directory, node, pod);
      await exemptPods(node);
    }
    const [node] = bridges;
    return { pods, version: node === undefined ? '' : await versionOf(found.directory, node) };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}

interface PluginResult {
  readonly ips: readonly { readonly address: string }[];
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
}

/** As a runtime does: each plugin of the list gets what the one before has answered. */
async function addPod(directory: string, node: BridgeNode, pod: BridgePod): Promise<BridgedPod> {
  const first = await runPlugin({ directory, node, pod, config: bridgeConfig(node) });
  const result = await runPlugin({ directory, node, pod, config: { ...portmapConfig(pod), prevResult: first } });
  const address = result.ips[0]?.address.split('/')[0];
  const device = result.interfaces.find(({ name, sandbox }) => !sandbox && name !== BRIDGE)?.name;
  if (address === undefined || device === undefined)
    throw new Error(`the plugins gave ${pod.id} no address or no device: ${JSON.stringify(result)}`);
  return { address, device };
}

/** What clusters with routes between their nodes have; addresses are each node's own. */
export function bridgeConfig({ name, subnet }: Pick<BridgeNode, 'name' | 'subnet'>) {
  const dataDir = `${BENCH_DIR}/host-local/${name}`;
  const ipam = { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }], dataDir };
  return { ...NETWORK, type: 'bridge', bridge: BRIDGE, isGateway: true, ipMasq: true, ipam } as const;
}

/** Without a host port it has nothing to do, as for most pods. */
export function portmapConfig({ hostPort }: Pick<BridgePod, 'hostPort'>) {
  const portMappings = hostPort === undefined ? [] : [{ hostPort, containerPort: SERVER_PORT, protocol: 'tcp' }];
  const capabilities = { portMappings: true };
  return { ...NETWORK, type: 'portmap', snat: true, capabilities, runtimeConfig: { portMappings } } as const;
}

interface PluginRun {
  readonly directory: string;
  readonly node: BridgeNode;
  readonly pod: BridgePod;
  readonly config: Readonly<Record<string, unknown>> & { readonly type: string };
}

async function runPlugin({ directory, node, pod, config }: PluginRun): Promise<PluginResult> {
  const env = {
    PATH: process.env.PATH,
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: pod.containerID,
    CNI_NETNS: `/run/netns/${pod.netns}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: directory,
  };
  const { status, stdout, stderr } = await capture([`${directory}/${config.type}`], {
    netns: node.netns,
    env,
    input: JSON.stringify(config),
  });
  if (status === 0) return JSON.parse(stdout) as PluginResult;
  throw new Error(`${config.type}, ADD of ${pod.id}: ${pluginError(`${stderr}${stdout}`)}`);
}

/** From pod to pod nothing is masqueraded, as Flannel and kubenet have it: ipMasq alone would translate it too. */
async function exemptPods({ netns }: BridgeNode): Promise<void> {
  const between = ['-s', BRIDGE_PODS, '-d', BRIDGE_PODS];
  await run(['iptables', '-w', '-t', 'nat', '-I', 'POSTROUTING', ...between, '-j', 'ACCEPT'], { netns });
}

/** Of the plugins, of the tool that wrote their rules, and whether packets from port to port meet these. */
async function versionOf(directory: string, { netns }: BridgeNode): Promise<string> {
  const plugins = await pluginVersion(`${directory}/bridge`);
  const tool = (await run(['iptables', '--version'])).trim();
  const called = await capture(['cat', '/proc/sys/net/bridge/bridge-nf-call-iptables'], { netns });
  return `${plugins}; ${tool}; bridge-nf-call-iptables ${called.status === 0 ? called.stdout.trim() : 'absent'}`;
}
