// The plan as kernel objects: namespaces, wires, and the nodes that the kernel's own forwarding serves.
import { FAMILIES } from '../model/address.js';
import { run } from '../testbed/command.js';
import { batch } from '../testbed/namespaces.js';
import type { BenchPlan, KernelNode, Station, Wire } from './plan.js';
import { allNamespaces } from './plan.js';

/** The only device of a namespace but for its loopback and, on nodes, its pods. */
export const DEVICE = 'eth0';
/** Host side of a kernel node's pod. */
const POD_DEVICE = 'pod0';

/**
 * What would make rounds differ: duplicate address detection, and ports that wait a minute after every connection;
 * a waiting port may be used again after a second.
 */
const SETTINGS = {
  'net/ipv6/conf/all/accept_dad': '0',
  'net/ipv6/conf/default/accept_dad': '0',
  'net/ipv4/tcp_tw_reuse': '1',
};
const FORWARDING = { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' };

/** Creates everything but what agents and their CNI plugin make. */
export async function buildTopology(plan: BenchPlan): Promise<void> {
  const names = allNamespaces(plan);
  await batch(undefined, names.map((netns) => `netns add ${netns}`));
  for (const netns of names) await setSysctls(netns, SETTINGS);
  await batch(undefined, plan.wires.map(wireLine));
  for (const netns of names) await batch(netns, ['link set lo up']);
  for (const wire of plan.wires) {
    await batch(wire.left.netns, stationLines(wire.left, wire.right, wire));
    await batch(wire.right.netns, stationLines(wire.right, wire.left, wire));
  }
  // Nodes of ours get it from their agents; the pair without nodes is what a node's own traffic would be.
  for (const node of plan.kernelNodes) await buildKernelNode(node);
}

function wireLine({ left, right }: Wire): string {
  return `link add name ${DEVICE} netns ${left.netns} type veth peer name ${DEVICE} netns ${right.netns}`;
}

function stationLines(station: Station, peer: Station, { prefix }: Wire): string[] {
  return [
    ...FAMILIES.map((family) => `addr add ${withLength(station.addresses[family], prefix[family])} dev ${DEVICE}`),
    `link set ${DEVICE} up`,
    ...FAMILIES.map((family) => `route add default via ${peer.addresses[family]} dev ${DEVICE}`),
  ];
}

function withLength(address: string, prefix: string): string {
  return `${address}/${prefix.split('/')[1]}${address.includes(':') ? ' nodad' : ''}`;
}

async function buildKernelNode({ netns, pod }: KernelNode): Promise<void> {
  await setSysctls(netns, FORWARDING);
  await batch(undefined, [
    `link add name ${POD_DEVICE} netns ${netns} type veth peer name ${DEVICE} netns ${pod.netns}`,
  ]);
  await batch(netns, [`addr add ${pod.gateway}/24 dev ${POD_DEVICE}`, `link set ${POD_DEVICE} up`]);
  await batch(pod.netns, [
    `addr add ${pod.address}/24 dev ${DEVICE}`,
    `link set ${DEVICE} up`,
    `route add default via ${pod.gateway} dev ${DEVICE}`,
  ]);
}

async function setSysctls(netns: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `echo ${value} > /proc/sys/${name}`);
  await run(['/bin/sh', '-c', lines.join(' && ')], { netns });
}
