// Tables of flows, emptied between runs that are about flows nobody has seen.
import { capture } from '../testbed/command.js';
import { clearFlows } from './nat/flow-table.js';
import { kernelPeerName, type PeerName } from './peers.js';
import type { BenchPlan } from './plan.js';

/** Whose connections netfilter tracks on the way of packets through bridges. */
const BRIDGE_NODES: Readonly<Partial<Record<PeerName, readonly string[]>>> = {
  'bridge-same': ['bridge-n1'],
  'bridge-cross': ['bridge-n1', 'bridge-n2'],
  'bridge-out': ['bridge'],
};

/** Empties what a peer's packets pass. Without netfilter's tool its flows go by their timeouts. */
export async function forgetFlows(plan: BenchPlan, peer: PeerName): Promise<void> {
  const island = plan.nodes.find(({ name }) => name === 'island');
  if (peer === 'island' && island !== undefined) clearFlows(island);
  for (const netns of trackersOf(plan, peer)) await capture(['conntrack', '-F'], { netns }).catch(() => undefined);
}

function trackersOf({ kernelNodes, bridges }: BenchPlan, peer: PeerName): string[] {
  const tracking = kernelNodes.filter((node) => node.masquerade && kernelPeerName(node) === peer);
  const bridging = bridges.filter(({ name }) => BRIDGE_NODES[peer]?.includes(name));
  return [...tracking, ...bridging].map(({ netns }) => netns);
}
