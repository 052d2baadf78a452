// The plan as kernel objects: namespaces, wires, and the nodes that the kernel's own forwarding serves.
import { FAMILIES } from '../model/address.js';
import { batch, setSysctls } from '../testbed/namespaces.js';
import { UPLINK } from '../testbed/node.js';
import { enlargePackets } from './offloads.js';
import type { BenchPlan, BridgeNode, KernelNode, KernelPod, Station, Wire } from './plan.js';
import { allNamespaces } from './plan.js';

/** What would make rounds differ: duplicate address detection. */
const SETTINGS = ['net/ipv6/conf/all/accept_dad=0', 'net/ipv6/conf/default/accept_dad=0'];
const FORWARDING = ['net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1'];

/** Creates everything but what agents and their CNI plugin make. */
export async function buildTopology(plan: BenchPlan): Promise<void> {
  const names = allNamespaces(plan);
  await batch(
    undefined,
    names.map((netns) => `netns add ${netns}`),
  );
  const settings = [...SETTINGS, `net/ipv4/tcp_max_tw_buckets=${plan.timeWaits}`];
  for (const netns of names) await setSysctls(netns, settings);
  await batch(undefined, plan.wires.map(wireLine));
  for (const wire of plan.wires) enlargePackets(wire);
  for (const netns of names) await batch(netns, ['link set lo up']);
  for (const wire of plan.wires) {
    await batch(wire.left.netns, stationLines(wire.left, wire.right, wire));
    await batch(wire.right.netns, stationLines(wire.right, wire.left, wire));
  }
  // Nodes of ours get it from their agents; the pair without nodes is what a node's own traffic would be.
  for (const node of plan.kernelNodes) await buildKernelNode(node);
  for (const node of plan.bridges) await routeBridge(node);
}

function wireLine({ left, right }: Wire): string {
  return `link add name ${UPLINK} netns ${left.netns} type veth peer name ${UPLINK} netns ${right.netns}`;
}

function stationLines(station: Station, peer: Station, { prefix }: Wire): string[] {
  return [
    ...FAMILIES.map((family) => `addr add ${withLength(station.addresses[family], prefix[family])} dev ${UPLINK}`),
    `link set ${UPLINK} ${mtuOf(station)}up`,
    ...FAMILIES.map((family) => `route add default via ${peer.addresses[family]} dev ${UPLINK}`),
  ];
}

function mtuOf({ mtu }: Pick<Station, 'mtu'>): string {
  return mtu === undefined ? '' : `mtu ${mtu} `;
}

/** What a cluster's routes are; to forward is what the plugins switch on. */
async function routeBridge({ netns, routes }: BridgeNode): Promise<void> {
  if (routes.length > 0)
    await batch(
      netns,
      routes.map(({ subnet, via }) => `route add ${subnet} via ${via} dev ${UPLINK}`),
    );
}

function withLength(address: string, prefix: string): string {
  return `${address}/${prefix.split('/')[1]}${address.includes(':') ? ' nodad' : ''}`;
}

async function buildKernelNode(node: KernelNode): Promise<void> {
  await setSysctls(node.netns, FORWARDING);
  for (const pod of node.pods) await buildKernelPod(node, pod);
}

async function buildKernelPod(node: KernelNode, pod: KernelPod): Promise<void> {
  const up = `${mtuOf(node)}up`;
  await batch(undefined, [
    `link add name ${pod.device} netns ${node.netns} type veth peer name ${UPLINK} netns ${pod.netns}`,
  ]);
  await batch(node.netns, [`addr add ${pod.gateway}/24 dev ${pod.device}`, `link set ${pod.device} ${up}`]);
  await batch(pod.netns, [
    `addr add ${pod.address}/24 dev ${UPLINK}`,
    `link set ${UPLINK} ${up}`,
    `route add default via ${pod.gateway} dev ${UPLINK}`,
  ]);
}
