// The ways from a pod to the outside that packets are sent on.
import { TestbedError } from '../testbed/error.js';
import { askAgent } from '../testbed/node-agent.js';
import type { Bed } from './bed.js';
import { BRIDGE } from './bridge.js';
import { kernelPeerName, type PeerName } from './peers.js';
import type { BenchNode, KernelNode } from './plan.js';

/** A way from a pod through its node to an outside host. */
export interface PodPath {
  readonly pod: { readonly netns: string; readonly address: string };
  readonly node: {
    readonly netns: string;
    /** The pod's veth. */
    readonly device: string;
    /** Whose address packets are sent to, where it is not the pod's veth. */
    readonly gateway?: string;
  };
  readonly outside: { readonly netns: string; readonly address: string };
}

export interface EgressPath extends PodPath {
  readonly peer: PeerName;
}

const OURS: readonly PeerName[] = ['flat', 'island'];

/** Ours, the kernel's and the bridge's, as far as they are there. */
export async function listPaths(bed: Bed): Promise<EgressPath[]> {
  const { plan, peers } = bed;
  const here = new Set(peers.map(({ name }) => name));
  const ours = plan.nodes.filter(({ name }) => OURS.some((peer) => peer === name));
  const kernels = plan.kernelNodes.filter((node) => node.mtu === undefined && here.has(kernelPeerName(node)));
  return [
    ...(await Promise.all(ours.map((node) => ourPath(node, outsideOf(peers, node.name as PeerName))))),
    ...kernels.map((node) => kernelPath(node, outsideOf(peers, kernelPeerName(node)))),
    ...(here.has('bridge-out') ? bridgePaths(bed) : []),
  ];
}

async function ourPath(node: BenchNode, outside: EgressPath['outside']): Promise<EgressPath> {
  const endpoint = (await askAgent(node))?.endpoints[0];
  const address = endpoint?.addresses.find((one) => !one.includes(':'));
  if (!endpoint || !address) throw new TestbedError(`the agent of ${node.name} does not answer, or has no IPv4 pod`);
  return {
    peer: node.name as PeerName,
    pod: { netns: endpoint.netns.replace(/.*\//, ''), address },
    node: { netns: node.netns, device: endpoint.hostInterface },
    outside,
  };
}

function kernelPath(node: KernelNode, outside: EgressPath['outside']): EgressPath {
  const [pod] = node.pods;
  return { peer: kernelPeerName(node), pod, node: { netns: node.netns, device: pod.device }, outside };
}

function bridgePaths({ plan, peers, bridged }: Bed): EgressPath[] {
  const outside = outsideOf(peers, 'bridge-out');
  return plan.bridges
    .filter(({ routes }) => routes.length === 0)
    .flatMap(({ netns, pods }) =>
      pods.flatMap(({ id, ...pod }): EgressPath[] => {
        const at = bridged[id];
        if (at === undefined) return [];
        const node = { netns, device: at.device, gateway: BRIDGE };
        return [{ peer: 'bridge-out', pod: { netns: pod.netns, address: at.address }, node, outside }];
      }),
    );
}

function outsideOf(peers: Bed['peers'], name: PeerName): EgressPath['outside'] {
  const peer = peers.find((one) => one.name === name);
  if (!peer) throw new TestbedError(`there is no peer '${name}'`);
  return peer.server;
}
