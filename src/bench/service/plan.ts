// The picture for Services as data: a node of ours, and one for each way in which kube-proxy writes its rules.
import type { BenchPlan } from '../plan.js';
import { planKernelNode, planNode, planPod, planWires, stationOf } from '../plan.js';

/** Who translates by netfilter, as kube-proxy has it: by table of the Services' chains. */
export const NETFILTER_PEERS = ['iptables-legacy', 'iptables-nft', 'nftables'] as const;
export type NetfilterPeer = (typeof NETFILTER_PEERS)[number];

export const SERVICE_NODE = 'service';
/** The same with programs before the stack, which no pod needs. */
export const XDP_NODE = 'xdp';
/** Of our node: one asks, the others answer. */
export const SERVICE_PODS = { client: 'a', servers: ['b', 'c'] } as const;
/** Where kube-proxy's pods are: a client and a server on each node. */
export const NETFILTER_PODS = '10.244.0.0/16';

const WIRES = [SERVICE_NODE, XDP_NODE, ...NETFILTER_PEERS].map((name): [string, string] => [name, `${name}-out`]);

export function planServiceBench(): BenchPlan {
  const wires = planWires(WIRES);
  const station = (name: string) => stationOf({ wires }, name);
  const names = [SERVICE_PODS.client, ...SERVICE_PODS.servers];
  return {
    wires,
    nodes: [SERVICE_NODE, XDP_NODE].map((name) => {
      return planNode(station(name), { cluster: name, mode: 'Island', number: 1 });
    }),
    pods: names.map((name) => planPod(SERVICE_NODE, name)),
    kernelNodes: NETFILTER_PEERS.map((name) => planKernelNode(station(name), { pods: 2 })),
    bare: [],
    bridges: [],
    timeWaits: 0,
  };
}
