// kube-proxy's rules in the nodes of its kinds: written by its tools, changed, and removed.
import { type CommandResult, capture } from '../../testbed/command.js';
import { TestbedError } from '../../testbed/error.js';
import { type BenchPlan, type KernelNode, stationOf } from '../plan.js';
import { iptablesBase, iptablesChange, iptablesRules, iptablesTables } from './kube-proxy/iptables.js';
import { nftablesChange, nftablesRules } from './kube-proxy/nftables.js';
import { NETFILTER_PEERS, NETFILTER_PODS, type NetfilterPeer } from './plan.js';
import type { ServedService } from './services.js';

/** What a tool is given. */
export interface Ruleset {
  readonly argv: readonly string[];
  readonly input: string;
}

export interface NetfilterNode {
  readonly peer: NetfilterPeer;
  readonly netns: string;
  /** Where node ports are served. */
  readonly address: string;
  readonly node: KernelNode;
  /** Of the tool that writes its rules. */
  readonly version: string;
}

/** Five thousand Services take nft twenty seconds. */
const TOOL_MS = 180_000;
const clusterCIDR = NETFILTER_PODS;

/** The nodes whose tool is here, and why others are not. */
export async function findNetfilterNodes(plan: BenchPlan) {
  const nodes: NetfilterNode[] = [];
  const missing: { name: string; reason: string }[] = [];
  for (const peer of NETFILTER_PEERS) {
    const { netns, addresses } = stationOf(plan, peer);
    const node = plan.kernelNodes.find(({ name }) => name === peer);
    const tool = peer === 'nftables' ? 'nft' : peer;
    const result = await tryTool([tool, '--version'], netns);
    if (typeof result === 'string' || !node) missing.push({ name: peer, reason: `${result}` });
    else nodes.push({ peer, netns, address: addresses.ipv4, node, version: result.stdout.trim() });
  }
  return { nodes, missing };
}

async function tryTool(argv: readonly string[], netns: string): Promise<CommandResult | string> {
  const result = await capture(argv, { netns }).catch((error: Error) => error.message);
  if (typeof result === 'string' || result.status === 0) return result;
  return result.stderr.trim().split('\n')[0] || `status ${result.status}`;
}

/** What leaves nothing but kube-proxy's hooks, without a Service. */
export function emptyRules({ peer }: Pick<NetfilterNode, 'peer'>): Ruleset {
  if (peer !== 'nftables') return { argv: [`${peer}-restore`, '-w'], input: iptablesBase() };
  const table = 'table ip kube-proxy';
  return { argv: ['nft', '-f', '-'], input: `add ${table}\ndelete ${table}\n` };
}

/** All Services at once. */
export function fullRules({ peer, address }: NetfilterNode, services: readonly ServedService[]): Ruleset {
  if (peer === 'nftables')
    return { argv: ['nft', '-f', '-'], input: nftablesRules({ services, clusterCIDR, nodeAddress: address }) };
  return { argv: restore(peer), input: iptablesRules({ services, clusterCIDR }) };
}

/** One Service whose backends become others. */
export function changedRules(
  { peer }: NetfilterNode,
  services: readonly ServedService[],
  change: { readonly before: ServedService; readonly after: ServedService },
): Ruleset {
  if (peer === 'nftables') return { argv: ['nft', '-f', '-'], input: nftablesChange({ clusterCIDR }, change) };
  const list = services.map((service) => (service === change.before ? change.after : service));
  return { argv: restore(peer), input: iptablesChange({ services: list, clusterCIDR }, change.after) };
}

function restore(peer: NetfilterPeer): string[] {
  return [`${peer}-restore`, '-w', '5', '--noflush', '--counters'];
}

/** Milliseconds that the tool took, its own start included. Throws TestbedError with what it said. */
export async function applyRules({ argv, input }: Ruleset, { peer, netns }: NetfilterNode): Promise<number> {
  const started = performance.now();
  const { status, stderr } = await capture(argv, { netns, input, timeout: TOOL_MS });
  const milliseconds = performance.now() - started;
  if (status === 0) return milliseconds;
  const said = stderr.trim().split('\n').slice(0, 3).join('; ');
  throw new TestbedError(`${argv.join(' ')} for ${peer} failed with status ${status}: ${said || 'it said nothing'}`);
}

/** Has just these Services in force, by the fastest way there is. */
export async function replaceRules(node: NetfilterNode, services: readonly ServedService[]): Promise<void> {
  if (node.peer === 'nftables') await applyRules(fullRules(node, services), node);
  else {
    const input = iptablesTables({ services, clusterCIDR });
    await applyRules({ argv: [`${node.peer}-restore`, '-w'], input }, node);
  }
}

/** Writes all Services into an empty table, as kube-proxy does. Milliseconds of that alone. */
export async function fillRules(node: NetfilterNode, services: readonly ServedService[]): Promise<number> {
  const rules = fullRules(node, services);
  await applyRules(emptyRules(node), node);
  return applyRules(rules, node);
}
