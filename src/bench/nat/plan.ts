// The picture for translation as data: the same eight pods behind a flat node, an island's and netfilter's.
import type { BenchNode, BenchPlan, BenchPod } from '../plan.js';
import { planKernelNode, planNode, planPod, planWires, stationOf } from '../plan.js';

/** Most pods behind one address that are measured together. */
export const PODS = 8;
/** Pods of the node whose blocks are large: together they may have as many flows to two ports as there are ports. */
export const WIDE_PODS = 4;
export const WIDE_BLOCK = 8192;

const WIRES = [
  ['flat', 'flat-out'],
  ['island', 'island-out'],
  ['masq', 'masq-out'],
  ['wide', 'wide-out'],
] as const;

/** The node's block and four pods', and NodePorts below them. */
const WIDE_NAT = {
  ports: '24576-65535',
  blockSize: WIDE_BLOCK,
  nodePorts: '20000-22767',
};

export function planNatBench(): BenchPlan {
  const wires = planWires(WIRES);
  const station = (name: string) => stationOf({ wires }, name);
  return {
    wires,
    nodes: [
      planNode(station('flat'), { cluster: 'flat', mode: 'Flat', number: 1 }),
      planNode(station('island'), { cluster: 'island', mode: 'Island', number: 1 }),
      planNode(station('wide'), { cluster: 'wide', mode: 'Island', number: 1, nat: WIDE_NAT }),
    ],
    pods: [...podsOf('flat', PODS), ...podsOf('island', PODS), ...podsOf('wide', WIDE_PODS)],
    kernelNodes: [planKernelNode(station('masq'), { masquerade: true, pods: PODS })],
    bare: [],
    bridges: [],
    // What a server that closes first remembers is what is measured; Linux' default on a machine with much memory.
    timeWaits: 262_144,
  };
}

function podsOf(node: string, count: number): BenchPod[] {
  return Array.from({ length: count }, (_, index) => planPod(node, `p${index + 1}`));
}

/** A node of ours. */
export function nodeOf(plan: BenchPlan, name: string): BenchNode {
  const found = plan.nodes.find((node) => node.name === name);
  if (!found) throw new Error(`the plan has no node '${name}'`);
  return found;
}
