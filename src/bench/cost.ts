// What the programs cost: one question for each node that carries the packets in question.
import type { Endpoint } from '../model/endpoint.js';
import { UPLINK } from '../testbed/node.js';
import { askAgent } from '../testbed/node-agent.js';
import { bpffsOf } from '../testbed/node-home.js';
import { openInside } from './inside.js';
import { linkIn } from './links.js';
import type { BenchNode, BenchPlan } from './plan.js';
import type { Arrival, CostAnswer, CostCase, CostQuestion } from './program-cost.js';

export interface CostOptions {
  readonly plan: BenchPlan;
  readonly batches: number;
  readonly cpu: number;
  readonly signal: AbortSignal;
}

const POD_PORT = 40000;
const SERVER_PORT = 8080;

export async function measureCost(options: CostOptions): Promise<CostAnswer[]> {
  const answers: CostAnswer[] = [];
  for (const name of ['n1', 'flat', 'island'] as const) {
    options.signal.throwIfAborted();
    const node = options.plan.nodes.find((one) => one.name === name);
    if (node) answers.push(...(await askNode(node, options)));
  }
  return answers;
}

async function askNode(node: BenchNode, { plan, batches, cpu }: CostOptions): Promise<CostAnswer[]> {
  const view = await lookAt(node, plan);
  const question: CostQuestion = {
    node: node.name,
    manifests: `${node.stateDir}/manifests`,
    bpffs: bpffsOf(node),
    gatewayMac: view.gatewayMac,
    uplink: { ifindex: view.uplink.ifindex, mtu: view.uplink.mtu, mac: view.uplink.mac },
    cases: CASES[node.name]?.(view) ?? [],
    batches,
  };
  const inside = openInside({ job: 'program-cost', netns: node.netns, cpu });
  try {
    return await inside.ask<CostAnswer[]>(question);
  } finally {
    inside.close();
  }
}

/** What a node's packets look like. */
interface View {
  readonly pods: readonly Endpoint[];
  readonly gatewayMac: string;
  readonly uplink: { readonly ifindex: number; readonly mtu: number; readonly mac: string };
  /** The other end of the wire, and a pod behind it. */
  readonly peer: { readonly mac: string; readonly address: string; readonly pod: string };
}

async function lookAt(node: BenchNode, plan: BenchPlan): Promise<View> {
  const status = await askAgent(node);
  const wire = plan.wires.find(({ left, right }) => [left.name, right.name].includes(node.name));
  const peer = wire?.left.name === node.name ? wire.right : wire?.left;
  const first = status?.endpoints[0];
  if (!status || !peer || !first) throw new Error(`the agent of ${node.name} does not answer, or has no pod`);
  const other = plan.nodes.find(({ name }) => name === peer.name);
  const remote = other && (await askAgent(other))?.endpoints[0];
  return {
    pods: status.endpoints,
    gatewayMac: linkIn(node.netns, first.hostInterface).mac,
    uplink: linkIn(node.netns, UPLINK),
    peer: { mac: linkIn(peer.netns, UPLINK).mac, address: peer.addresses.ipv4, pod: ipv4Of(remote) },
  };
}

const CASES: Readonly<Record<string, (view: View) => CostCase[]>> = {
  n1: (view) => [
    { name: 'flat, same node', program: 'from_container', arrival: fromPod(view, ipv4Of(view.pods[1])) },
    { name: 'flat, to the other node', program: 'from_container', arrival: fromPod(view, view.peer.pod) },
    { name: 'flat, from the other node', program: 'from_netdev', arrival: fromWire(view, view.peer.pod) },
  ],
  flat: (view) => [
    { name: 'flat, to outside', program: 'from_container', arrival: fromPod(view, view.peer.address) },
    { name: 'flat, from outside', program: 'from_netdev', arrival: fromWire(view, view.peer.address) },
  ],
  island: (view) => {
    const opening = fromPod(view, view.peer.address);
    return [
      { name: 'island, to outside', program: 'from_container', arrival: opening, opening },
      { name: 'island, from outside', program: 'from_netdev', arrival: fromWire(view, view.peer.address), opening },
    ];
  },
};

function fromPod({ pods, gatewayMac }: View, to: string): Arrival {
  const pod = pods[0];
  return {
    ifindex: pod?.ifindex ?? 0,
    packet: {
      sourceMac: pod?.mac ?? '',
      destinationMac: gatewayMac,
      source: { address: ipv4Of(pod), port: POD_PORT },
      destination: { address: to, port: SERVER_PORT },
    },
  };
}

function fromWire({ pods, uplink, peer }: View, from: string): Arrival {
  return {
    ifindex: uplink.ifindex,
    packet: {
      sourceMac: peer.mac,
      destinationMac: uplink.mac,
      source: { address: from, port: SERVER_PORT },
      destination: { address: ipv4Of(pods[0]), port: POD_PORT },
    },
  };
}

function ipv4Of(endpoint: Endpoint | undefined): string {
  return endpoint?.addresses.find((address) => !address.includes(':')) ?? '';
}
