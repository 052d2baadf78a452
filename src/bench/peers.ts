// Who is measured: pairs of places that talk to each other, all of them up at the same time.
import type { Family } from '../model/address.js';
import type { AddressPair } from '../testbed/node.js';
import type { BenchPlan, Station } from './plan.js';
import { stationOf } from './plan.js';

export interface Peer {
  readonly name: PeerName;
  /** What it is, for people. */
  readonly title: string;
  /** Namespace that the client runs in. */
  readonly client: string;
  readonly server: { readonly netns: string; readonly address: string };
}

export type PeerName =
  | 'raw'
  | 'raw-again'
  | 'raw-big'
  | 'raw-big-ipv6'
  | 'host-host'
  | 'bare-same'
  | 'bare-cross'
  | 'same-node'
  | 'cross-node'
  | 'no-tso'
  | 'no-tso-ungrouped'
  | 'flat'
  | 'island'
  | 'routed'
  | 'masquerade'
  | 'raw-ipv6'
  | 'same-node-ipv6'
  | 'flat-ipv6'
  | 'island-ipv6';

const BARE_TITLES = {
  'bare-same': 'the smallest programs, same node',
  'bare-cross': 'the smallest programs, other node',
} as const;

export function listPeers(plan: BenchPlan, pods: Readonly<Record<string, AddressPair>>): Peer[] {
  const outside = (name: string, family?: Family): Peer['server'] => serverAt(stationOf(plan, `${name}-out`), family);
  const pod = (id: string): string => netnsOf(plan, id);
  const server = (id: string, family: Family = 'ipv4'): Peer['server'] => {
    return { netns: netnsOf(plan, id), address: pods[id]?.[family] ?? '' };
  };
  const raw = { client: stationOf(plan, 'raw-a').netns, server: serverAt(stationOf(plan, 'raw-b')) };
  const big = {
    title: 'the limit with BIG TCP: one veth pair that takes 192 KiB',
    client: stationOf(plan, 'big-a').netns,
  };
  return [
    { name: 'raw', title: 'one veth pair, nothing else', ...raw },
    { name: 'raw-again', title: 'the same pair a second time', ...raw },
    { ...big, name: 'raw-big', server: serverAt(stationOf(plan, 'big-b')) },
    { ...big, name: 'raw-big-ipv6', server: serverAt(stationOf(plan, 'big-b'), 'ipv6') },
    {
      name: 'host-host',
      title: 'node to node over one veth pair',
      client: stationOf(plan, 'host-a').netns,
      server: serverAt(stationOf(plan, 'host-b')),
    },
    ...plan.bare.map(
      ({ name, ends: [client, server] }): Peer => ({ name, title: BARE_TITLES[name], client: client.netns, server }),
    ),
    { name: 'same-node', title: 'ours: pod to pod, same node', client: pod('n1/a'), server: server('n1/b') },
    { name: 'cross-node', title: 'ours: pod to pod, other node', client: pod('n1/a'), server: server('n2/c') },
    {
      name: 'no-tso',
      title: 'ours: from a pod without TSO, same node',
      client: pod('island/f'),
      server: server('island/d'),
    },
    {
      name: 'no-tso-ungrouped',
      title: "the same without GRO on the node's side",
      client: pod('island/g'),
      server: server('island/d'),
    },
    { name: 'flat', title: 'ours: pod to outside, flat', client: pod('flat/e'), server: outside('flat') },
    { name: 'island', title: 'ours: pod to outside, island', client: pod('island/d'), server: outside('island') },
    ...plan.kernelNodes.map(
      (node): Peer => ({
        name: node.masquerade ? 'masquerade' : 'routed',
        title: node.masquerade ? 'kernel routing with netfilter masquerade' : 'kernel routing, untranslated',
        client: node.pods[0].netns,
        server: outside(node.name),
      }),
    ),
    { ...raw, name: 'raw-ipv6', title: 'the pair by IPv6', server: serverAt(stationOf(plan, 'raw-b'), 'ipv6') },
    {
      name: 'same-node-ipv6',
      title: 'ours: pod to pod, same node, IPv6',
      client: pod('n1/a'),
      server: server('n1/b', 'ipv6'),
    },
    {
      name: 'flat-ipv6',
      title: 'ours: pod to outside, flat, IPv6',
      client: pod('flat/e'),
      server: outside('flat', 'ipv6'),
    },
    {
      name: 'island-ipv6',
      title: 'ours: pod to outside, island, IPv6',
      client: pod('island/d'),
      server: outside('island', 'ipv6'),
    },
  ];
}

function serverAt({ netns, addresses }: Station, family: Family = 'ipv4'): Peer['server'] {
  return { netns, address: addresses[family] };
}

function netnsOf(plan: BenchPlan, id: string): string {
  const found = plan.pods.find((pod) => pod.id === id);
  if (!found) throw new Error(`the plan has no pod '${id}'`);
  return found.netns;
}
