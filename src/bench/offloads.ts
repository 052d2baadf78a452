// Devices with other offloads than the kernel's default: wires of BIG TCP, and pods without segmentation offload.
import { loadNativeNet, type Netlink } from '../net/native.js';
import { namespacePath, withNetlink } from '../net/netns.js';
import { run } from '../testbed/command.js';
import { TestbedError } from '../testbed/error.js';
import { UPLINK } from '../testbed/node.js';
import { askAgent } from '../testbed/node-agent.js';
import { linkIn } from './links.js';
import type { BenchPlan, BenchPod, Wire } from './plan.js';
import type { Missing } from './report.js';

/** As an operator would: pods send no larger packets than their node's uplink takes. */
export function enlargePackets({ left, right, packetBytes }: Wire): void {
  if (packetBytes === undefined) return;
  const sizes = { gso: packetBytes, gro: packetBytes, gsoIpv4: packetBytes, groIpv4: packetBytes };
  for (const { netns } of [left, right]) {
    change(netns, UPLINK, (netlink, ifindex) => netlink.setPacketSizes(ifindex, sizes));
  }
}

/** Takes TSO from the pods that are to be without it, and GRO from the node's side of one of them. */
export async function setUpWithoutTso(plan: BenchPlan): Promise<Missing[]> {
  const without = plan.pods.flatMap((pod) => (pod.offload === undefined ? [] : [{ pod, name: pod.offload }]));
  try {
    for (const { pod } of without) await run(['ethtool', '-K', UPLINK, 'tso', 'off'], { netns: pod.netns });
    for (const { pod, name } of without) if (name === 'no-tso-ungrouped') await takeGro(plan, pod);
    return [];
  } catch (error) {
    return without.map(({ name }) => ({ name, reason: (error as Error).message }));
  }
}

async function takeGro(plan: BenchPlan, pod: BenchPod): Promise<void> {
  const node = plan.nodes.find(({ name }) => name === pod.node);
  const endpoints = node === undefined ? undefined : (await askAgent(node))?.endpoints;
  const endpoint = endpoints?.find(({ containerID }) => containerID === pod.containerID);
  if (node === undefined || endpoint === undefined) throw new TestbedError(`no agent knows the pod ${pod.id}`);
  change(node.netns, endpoint.hostInterface, (netlink, ifindex) => netlink.setReceiveOffload(ifindex, false));
}

function change(netns: string, device: string, how: (netlink: Netlink, ifindex: number) => void): void {
  const { ifindex } = linkIn(netns, device);
  withNetlink(loadNativeNet(), namespacePath(netns), (netlink) => how(netlink, ifindex));
}
