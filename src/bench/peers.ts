// Who is measured: pairs of places that talk to each other, all of them up at the same time.
import type { Family } from '../model/address.js';
import type { AddressPair } from '../testbed/node.js';
import { JUMBO } from './bench-plan.js';
import type { BridgedPod } from './bridge.js';
import type { BenchPlan, KernelNode, Station } from './plan.js';
import { farEndOf, stationOf } from './plan.js';

export interface Peer {
  readonly name: PeerName;
  /** What it is, for people. */
  readonly title: string;
  /** Namespace that the client runs in. */
  readonly client: string;
  readonly server: { readonly netns: string; readonly address: string };
  /** What the server must see the client as; where that is not said, nothing could translate it. */
  readonly seenAs?: string;
  /** What both ends' devices must have, bytes; nobody has changed it where that is not said. */
  readonly mtu?: number;
}

/** Those that are there with large packets, too. */
type BothSizes = 'raw' | 'host-host' | 'same-node' | 'cross-node' | 'flat' | 'island' | 'masquerade';

export type PeerName =
  | BothSizes
  | `${BothSizes}${typeof JUMBO.suffix}`
  | 'raw-again'
  | 'raw-big'
  | 'raw-big-ipv6'
  | 'bare-same'
  | 'bare-cross'
  | 'routed'
  | 'no-tso'
  | 'no-tso-ungrouped'
  | 'bridge-same'
  | 'bridge-cross'
  | 'bridge-out'
  | 'raw-ipv6'
  | 'same-node-ipv6'
  | 'flat-ipv6'
  | 'island-ipv6';

const BARE_TITLES = {
  'bare-same': 'the smallest programs, same node',
  'bare-cross': 'the smallest programs, other node',
} as const;

/** The addresses that pods got, by their ids. */
export interface PodAddresses {
  readonly ours: Readonly<Record<string, AddressPair>>;
  /** None where the plugins are missing. */
  readonly bridged: Readonly<Record<string, Pick<BridgedPod, 'address'>>>;
}

export function listPeers(plan: BenchPlan, { ours, bridged }: PodAddresses): Peer[] {
  const jumbo = plan.wires.some(({ left }) => left.name.endsWith(JUMBO.suffix));
  const [raw, ...limits] = limitPeers(plan, '');
  return [
    raw,
    { ...raw, name: 'raw-again', title: 'the same pair a second time' },
    ...limits,
    ...bigPeers(plan),
    ...plan.bare.map(
      ({ name, ends: [client, server] }): Peer => ({ name, title: BARE_TITLES[name], client: client.netns, server }),
    ),
    ...podPeers(plan, ours, ''),
    ...podsWithoutTso(plan, ours),
    ...plan.kernelNodes.filter(({ mtu }) => mtu === undefined).map((node) => kernelPeer(plan, node)),
    ...bridgePeers(plan, bridged),
    ...ipv6Peers(plan, ours),
    ...(jumbo ? jumboPeers(plan, ours) : []),
  ];
}

/** What a kernel's node is called as a peer. */
export function kernelPeerName({ masquerade, mtu }: KernelNode): 'routed' | 'masquerade' | 'masquerade-9000' {
  if (!masquerade) return 'routed';
  return mtu === undefined ? 'masquerade' : 'masquerade-9000';
}

function jumboPeers(plan: BenchPlan, ours: PodAddresses['ours']): Peer[] {
  const peers = [
    ...limitPeers(plan, JUMBO.suffix),
    ...podPeers(plan, ours, JUMBO.suffix),
    ...plan.kernelNodes.filter(({ mtu }) => mtu !== undefined).map((node) => kernelPeer(plan, node)),
  ];
  return peers.map((peer) => ({ ...peer, mtu: JUMBO.mtu, title: `${peer.title}, MTU ${JUMBO.mtu}` }));
}

/** `suffix` is that of the names of one of the two worlds. */
type Suffix = '' | typeof JUMBO.suffix;

function limitPeers(plan: BenchPlan, suffix: Suffix): [Peer, Peer] {
  const between = (left: string, right: string): Pick<Peer, 'client' | 'server'> => ({
    client: stationOf(plan, left + suffix).netns,
    server: serverAt(stationOf(plan, right + suffix)),
  });
  return [
    { name: `raw${suffix}`, title: 'one veth pair, nothing else', ...between('raw-a', 'raw-b') },
    { name: `host-host${suffix}`, title: 'node to node over one veth pair', ...between('host-a', 'host-b') },
  ];
}

/** What pods with BIG TCP cannot be faster than. */
function bigPeers(plan: BenchPlan): Peer[] {
  const title = 'the limit with BIG TCP: one veth pair that takes 192 KiB';
  const [client, server] = [stationOf(plan, 'big-a').netns, stationOf(plan, 'big-b')];
  return [
    { name: 'raw-big', title, client, server: serverAt(server) },
    { name: 'raw-big-ipv6', title, client, server: serverAt(server, 'ipv6') },
  ];
}

function podPeers(plan: BenchPlan, ours: PodAddresses['ours'], suffix: Suffix): Peer[] {
  const client = (id: string): Pick<Peer, 'client' | 'seenAs'> => clientAt(plan, ours, idWith(id, suffix));
  const pod = (id: string): Peer['server'] => podServer(plan, ours, { id: idWith(id, suffix) });
  const outside = (name: string): Peer['server'] => serverAt(farEndOf(plan, name + suffix));
  return [
    { name: `same-node${suffix}`, title: 'ours: pod to pod, same node', ...client('n1/a'), server: pod('n1/b') },
    { name: `cross-node${suffix}`, title: 'ours: pod to pod, other node', ...client('n1/a'), server: pod('n2/c') },
    { name: `flat${suffix}`, title: 'ours: pod to outside, flat', ...client('flat/e'), server: outside('flat') },
    {
      name: `island${suffix}`,
      title: 'ours: pod to outside, island',
      ...client('island/d'),
      seenAs: stationOf(plan, `island${suffix}`).addresses.ipv4,
      server: outside('island'),
    },
  ];
}

function podsWithoutTso(plan: BenchPlan, ours: PodAddresses['ours']): Peer[] {
  const server = podServer(plan, ours, { id: 'island/d' });
  return [
    { name: 'no-tso', title: 'ours: from a pod without TSO, same node', ...clientAt(plan, ours, 'island/f'), server },
    {
      name: 'no-tso-ungrouped',
      title: "the same without GRO on the node's side",
      ...clientAt(plan, ours, 'island/g'),
      server,
    },
  ];
}

/** e.g. `n1/a` to `n1-9000/a`. */
function idWith(id: string, suffix: Suffix): string {
  return id.replace('/', `${suffix}/`);
}

function kernelPeer(plan: BenchPlan, node: KernelNode): Peer {
  const [pod] = node.pods;
  return {
    name: kernelPeerName(node),
    title: node.masquerade ? 'kernel routing with netfilter masquerade' : 'kernel routing, untranslated',
    client: pod.netns,
    server: serverAt(farEndOf(plan, node.name)),
    seenAs: node.masquerade ? node.addresses.ipv4 : pod.address,
  };
}

function bridgePeers(plan: BenchPlan, bridged: PodAddresses['bridged']): Peer[] {
  const pods = new Map(plan.bridges.flatMap((node) => node.pods.map((pod) => [pod.id, pod.netns])));
  const client = (id: string) => ({ client: pods.get(id) ?? '', seenAs: bridged[id]?.address ?? '' });
  const server = (id: string) => ({ netns: pods.get(id) ?? '', address: bridged[id]?.address ?? '' });
  const title = (what: string): string => `bridge, host-local, portmap: ${what}`;
  if (Object.keys(bridged).length === 0) return [];
  const a = client('bridge-n1/a');
  return [
    { name: 'bridge-same', title: title('pod to pod, same node'), ...a, server: server('bridge-n1/b') },
    { name: 'bridge-cross', title: title('pod to pod, other node'), ...a, server: server('bridge-n2/c') },
    {
      name: 'bridge-out',
      title: title('pod to outside, masqueraded'),
      ...client('bridge/d'),
      seenAs: stationOf(plan, 'bridge').addresses.ipv4,
      server: serverAt(farEndOf(plan, 'bridge')),
    },
  ];
}

function ipv6Peers(plan: BenchPlan, ours: PodAddresses['ours']): Peer[] {
  const outside = (name: string): Peer['server'] => serverAt(farEndOf(plan, name), 'ipv6');
  const client = (id: string): Pick<Peer, 'client'> => ({ client: netnsOf(plan, id) });
  const server = podServer(plan, ours, { id: 'n1/b', family: 'ipv6' });
  return [
    {
      name: 'raw-ipv6',
      title: 'the pair by IPv6',
      client: stationOf(plan, 'raw-a').netns,
      server: serverAt(stationOf(plan, 'raw-b'), 'ipv6'),
    },
    { name: 'same-node-ipv6', title: 'ours: pod to pod, same node, IPv6', ...client('n1/a'), server },
    { name: 'flat-ipv6', title: 'ours: pod to outside, flat, IPv6', ...client('flat/e'), server: outside('flat') },
    {
      name: 'island-ipv6',
      title: 'ours: pod to outside, island, IPv6',
      ...client('island/d'),
      server: outside('island'),
    },
  ];
}

function serverAt({ netns, addresses }: Station, family: Family = 'ipv4'): Peer['server'] {
  return { netns, address: addresses[family] };
}

function podServer(
  plan: BenchPlan,
  ours: PodAddresses['ours'],
  { id, family = 'ipv4' }: { readonly id: string; readonly family?: Family },
): Peer['server'] {
  return { netns: netnsOf(plan, id), address: ours[id]?.[family] ?? '' };
}

function clientAt(plan: BenchPlan, ours: PodAddresses['ours'], id: string): Pick<Peer, 'client' | 'seenAs'> {
  return { client: netnsOf(plan, id), seenAs: ours[id]?.ipv4 ?? '' };
}

function netnsOf(plan: BenchPlan, id: string): string {
  const found = plan.pods.find((pod) => pod.id === id);
  if (!found) throw new Error(`the plan has no pod '${id}'`);
  return found.netns;
}
