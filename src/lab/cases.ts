// The checks as data: who talks to whom, how, and which source address the server must see.
import type { Family } from '../model/address.js';
import { FAMILIES } from '../model/address.js';
import type { Mode } from '../model/network.js';
import type { SocketsChoice } from '../testbed/node.js';
import type { LabPlan } from './plan.js';
import { clusterOf, FABRIC_MTU, NARROW_MTU } from './plan.js';

export type CaseProtocol = 'TCP' | 'UDP' | 'ICMP';

/**
 * What the server must see.
 * own: the address of the one who asks. block: his node's address and a port of his block.
 * gateway: an address of the node that took the packet in. inside: own or block, both are right where a service of the own cluster is reached by packets.
 * reply: an answer is all that can be seen. refused: no answer but a quick refusal.
 */
export type ExpectedSource = 'own' | 'block' | 'gateway' | 'inside' | 'reply' | 'refused';

/**
 * What is done with the connection; `who` asks the server which source it sees. reordered: fragments in reversed order.
 * recut: fragments in order, larger than the way takes, which IPv4 allows.
 * mtu: sends what is too large, then looks at what the sender has learnt. trace, mtr: the programs of these names.
 */
export type CaseAction =
  | 'who'
  | 'transfer'
  | 'sink'
  | 'source'
  | 'large'
  | 'reordered'
  | 'recut'
  | 'mtu'
  | 'trace'
  | 'mtr';

export interface LabCase {
  readonly name: string;
  readonly family: Family;
  readonly protocol: CaseProtocol;
  readonly action: CaseAction;
  /** `c1/a` a pod, `c1-n1` a node, `client`, `server`; `/narrow` behind it: its address behind the bottleneck. */
  readonly from: string;
  /** As `from`, or `vip:c1/web`, `clusterip:c1/web`, `nodeport:c1-n1/web`. */
  readonly to: string;
  readonly expectedSource: ExpectedSource;
  /** What the sender must have learnt, bytes; with `mtu`. */
  readonly mtu?: number;
  /** Who answers on the way, in order, without the target; with `trace` and `mtr`. */
  readonly hops?: readonly string[];
}

interface CaseTemplate {
  readonly name: string;
  readonly protocols: readonly CaseProtocol[];
  readonly from: string;
  readonly to: string;
  readonly expectedSource:
    | ExpectedSource
    | Readonly<Record<Mode, ExpectedSource>>
    | Readonly<Record<SocketsChoice, ExpectedSource>>;
  readonly action?: CaseAction;
  readonly mtu?: number | Readonly<Record<Family, number>>;
  readonly hops?: readonly string[];
  /** Only where the family is in this mode. */
  readonly mode?: Mode;
  /** Only this one. */
  readonly family?: Family;
  /** Only where services are for sockets or where they are not. */
  readonly sockets?: SocketsChoice;
}

const ALL: readonly CaseProtocol[] = ['TCP', 'UDP', 'ICMP'];
const PORTS: readonly CaseProtocol[] = ['TCP', 'UDP'];
/** A pod's packets to the outside. */
const LEAVING = { Island: 'block', Flat: 'own' } as const;
/** What the way between c2's nodes leaves when there is a header in front of the packet. */
const DIRECT_MTU = { ipv4: FABRIC_MTU - 20, ipv6: FABRIC_MTU - 40 } as const;
/** To a service of the own cluster: the socket goes straight to the backend, a packet is translated. */
const STAYING = { auto: 'own', never: 'inside' } as const;

// biome-ignore format: one case a line
const REACH: readonly CaseTemplate[] = [
  { name: 'pod to pod, same node', protocols: ALL, from: 'c1/a', to: 'c1/b', expectedSource: 'own' },
  { name: 'pod to pod, other node', protocols: ALL, from: 'c1/a', to: 'c1/c', expectedSource: 'own' },
  { name: 'pod to pod, other node', protocols: ALL, from: 'c2/c', to: 'c2/b', expectedSource: 'own' },
  { name: 'node to its pod', protocols: ALL, from: 'c1-n1', to: 'c1/a', expectedSource: 'own' },
  { name: 'node to a pod of the other node', protocols: ALL, from: 'c1-n2', to: 'c1/a', expectedSource: 'own' },
  { name: 'pod to its node', protocols: ALL, from: 'c1/a', to: 'c1-n1', expectedSource: 'own' },
  { name: 'pod to the other node', protocols: ALL, from: 'c1/a', to: 'c1-n2', expectedSource: 'own' },
  { name: 'pod to other server', protocols: ALL, from: 'c1/a', to: 'server', expectedSource: LEAVING },
  { name: 'pod to other server', protocols: ALL, from: 'c2/a', to: 'server', expectedSource: LEAVING },
  { name: 'pod to other server', protocols: ALL, from: 'c2/c', to: 'server', expectedSource: LEAVING },
  { name: 'other client to pod, directly', protocols: ALL, from: 'client', to: 'c1/a', expectedSource: 'own', mode: 'Flat' },
  { name: 'other client to pod, directly', protocols: ALL, from: 'client', to: 'c2/c', expectedSource: 'own', mode: 'Flat' },
  { name: 'pod to pod of the other cluster', protocols: ALL, from: 'c1/a', to: 'c2/b', expectedSource: 'own', mode: 'Flat' },
  { name: 'pod to a node of the other cluster', protocols: ALL, from: 'c1/b', to: 'c2-n2', expectedSource: LEAVING },
];

// biome-ignore format: one case a line
const SERVICES: readonly CaseTemplate[] = [
  { name: 'other client to pod by VIP', protocols: PORTS, from: 'client', to: 'vip:c1/web', expectedSource: 'own' },
  { name: 'by VIP, backend on the other node', protocols: PORTS, from: 'client', to: 'vip:c1/far', expectedSource: 'gateway' },
  { name: 'by VIP, two backends', protocols: PORTS, from: 'client', to: 'vip:c2/pair', expectedSource: 'own' },
  { name: 'other client to pod by NodePort', protocols: PORTS, from: 'client', to: 'nodeport:c1-n1/web', expectedSource: 'own' },
  { name: 'by NodePort, backend on the other node', protocols: PORTS, from: 'client', to: 'nodeport:c1-n2/web', expectedSource: 'gateway' },
  { name: 'direct return: by VIP', protocols: PORTS, from: 'client', to: 'vip:c1/direct', expectedSource: 'own' },
  { name: 'direct return: by NodePort', protocols: PORTS, from: 'client', to: 'nodeport:c1-n1/direct', expectedSource: 'own' },
  { name: 'direct return: by NodePort of the pod\'s node', protocols: PORTS, from: 'client', to: 'nodeport:c1-n2/direct', expectedSource: 'own' },
  { name: "direct return: other cluster's pod", protocols: PORTS, from: 'c2/b', to: 'vip:c1/direct', expectedSource: LEAVING },
  { name: 'direct return: pod of the own cluster', protocols: PORTS, from: 'c1/a', to: 'vip:c1/direct', expectedSource: STAYING },
  { name: "pod to the other cluster's service", protocols: PORTS, from: 'c1/a', to: 'vip:c2/web', expectedSource: LEAVING },
  { name: "pod to the other cluster's service", protocols: PORTS, from: 'c2/c', to: 'vip:c1/pair', expectedSource: LEAVING },
  { name: "other cluster's service, other node's pod", protocols: PORTS, from: 'c2/b', to: 'vip:c1/far', expectedSource: 'gateway' },
  { name: 'pod to cluster IP, same node', protocols: PORTS, from: 'c1/b', to: 'clusterip:c1/web', expectedSource: STAYING },
  { name: 'pod to cluster IP, other node', protocols: PORTS, from: 'c1/c', to: 'clusterip:c1/web', expectedSource: STAYING },
  { name: 'hairpin: pod to its service by VIP', protocols: PORTS, from: 'c1/b', to: 'vip:c1/pair', expectedSource: STAYING },
  { name: 'hairpin: the only backend is the pod', protocols: PORTS, from: 'c1/a', to: 'vip:c1/web', expectedSource: STAYING },
  { name: 'hairpin: from the other node', protocols: PORTS, from: 'c1/c', to: 'vip:c1/web', expectedSource: STAYING },
  { name: 'hairpin: cluster IP, only the pod', protocols: PORTS, from: 'c1/a', to: 'clusterip:c1/web', expectedSource: STAYING },
  { name: 'pod to NodePort of its node', protocols: PORTS, from: 'c1/b', to: 'nodeport:c1-n1/web', expectedSource: STAYING },
  { name: 'pod to NodePort of its node, other node', protocols: PORTS, from: 'c1/c', to: 'nodeport:c1-n2/web', expectedSource: STAYING },
  { name: 'node to cluster IP, its own pod', protocols: PORTS, from: 'c1-n1', to: 'clusterip:c1/web', expectedSource: 'own', sockets: 'auto' },
  { name: 'node to cluster IP, other node', protocols: PORTS, from: 'c1-n2', to: 'clusterip:c1/web', expectedSource: 'own', sockets: 'auto' },
  { name: 'node to VIP of its cluster', protocols: PORTS, from: 'c1-n2', to: 'vip:c1/pair', expectedSource: 'own', sockets: 'auto' },
  { name: 'node to its own NodePort', protocols: PORTS, from: 'c1-n1', to: 'nodeport:c1-n1/far', expectedSource: 'own', sockets: 'auto' },
  { name: 'service without endpoints', protocols: PORTS, from: 'c1-n1', to: 'clusterip:c1/empty', expectedSource: 'refused', sockets: 'auto' },
  { name: 'service without endpoints', protocols: PORTS, from: 'client', to: 'vip:c1/empty', expectedSource: 'refused' },
  { name: 'service without endpoints', protocols: PORTS, from: 'c1/a', to: 'vip:c1/empty', expectedSource: 'refused' },
  { name: 'service without endpoints', protocols: PORTS, from: 'c1/c', to: 'clusterip:c1/empty', expectedSource: 'refused' },
];

// biome-ignore format: one case a line
const LARGE: readonly CaseTemplate[] = [
  { name: '100 MB there and back, verified', protocols: ['TCP'], from: 'c1/b', to: 'server', expectedSource: 'reply', action: 'transfer' },
  { name: '100 MB there and back, verified', protocols: ['TCP'], from: 'c1/a', to: 'c1/c', expectedSource: 'reply', action: 'transfer' },
  { name: '100 MB there and back, verified', protocols: ['TCP'], from: 'client', to: 'vip:c2/web', expectedSource: 'reply', action: 'transfer' },
  { name: '100 MB there and back, verified', protocols: ['TCP'], from: 'client', to: 'vip:c1/direct', expectedSource: 'reply', action: 'transfer' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'client', to: 'vip:c1/direct', expectedSource: 'reply', action: 'large' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'c1/a', to: 'c1/b', expectedSource: 'reply', action: 'large' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'c1/a', to: 'c1/c', expectedSource: 'reply', action: 'large' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'c1/a', to: 'server', expectedSource: 'reply', action: 'large' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'client', to: 'vip:c1/web', expectedSource: 'reply', action: 'large' },
  { name: '8000 bytes in a datagram', protocols: ['UDP'], from: 'c1/a', to: 'vip:c2/web', expectedSource: 'reply', action: 'large' },
  { name: 'ping with 4000 bytes', protocols: ['ICMP'], from: 'c1/a', to: 'c1/c', expectedSource: 'reply', action: 'large' },
  { name: 'ping with 4000 bytes', protocols: ['ICMP'], from: 'c1/a', to: 'server', expectedSource: 'reply', action: 'large' },
  { name: 'ping with 4000 bytes', protocols: ['ICMP'], from: 'c1-n1', to: 'c1/a', expectedSource: 'reply', action: 'large' },
];

// biome-ignore format: one case a line
const PATH_MTU: readonly CaseTemplate[] = [
  { name: 'path MTU: pod to outside', protocols: PORTS, from: 'c1/a', to: 'server/narrow', expectedSource: 'reply', action: 'mtu', mtu: NARROW_MTU },
  { name: 'path MTU: outside to pod by VIP', protocols: PORTS, from: 'server/narrow', to: 'vip:c1/web', expectedSource: 'reply', action: 'mtu', mtu: NARROW_MTU },
  { name: 'path MTU: outside to pod by NodePort', protocols: PORTS, from: 'server/narrow', to: 'nodeport:c1-n2/far', expectedSource: 'reply', action: 'mtu', mtu: NARROW_MTU },
  { name: 'path MTU: pod to pod, other node', protocols: PORTS, from: 'c2/a', to: 'c2/c', expectedSource: 'reply', action: 'mtu', mtu: FABRIC_MTU },
  { name: "path MTU: pod to the other cluster's service", protocols: PORTS, from: 'c1/a', to: 'vip:c2/narrow', expectedSource: 'reply', action: 'mtu', mtu: NARROW_MTU },
  { name: 'path MTU: by VIP, backend on the other node', protocols: PORTS, from: 'client', to: 'vip:c2/far', expectedSource: 'reply', action: 'mtu', mtu: FABRIC_MTU },
  { name: 'path MTU: direct return', protocols: PORTS, from: 'client', to: 'vip:c2/direct', expectedSource: 'reply', action: 'mtu', mtu: DIRECT_MTU },
  { name: 'path MTU bottleneck, receiving', protocols: ['TCP'], from: 'server/narrow', to: 'vip:c1/direct', expectedSource: 'reply', action: 'source' },
  { name: 'path MTU bottleneck, receiving', protocols: ['TCP'], from: 'c1/a', to: 'server/narrow', expectedSource: 'reply', action: 'source' },
  { name: 'path MTU bottleneck, receiving', protocols: ['TCP'], from: 'server/narrow', to: 'vip:c1/web', expectedSource: 'reply', action: 'source' },
  { name: 'path MTU bottleneck, receiving', protocols: ['TCP'], from: 'c1/a', to: 'vip:c2/narrow', expectedSource: 'reply', action: 'source' },
];

// biome-ignore format: one case a line
const REORDERED: readonly CaseTemplate[] = [
  { name: 'fragments in reversed order', protocols: ['UDP', 'ICMP'], from: 'c1/a', to: 'server', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP', 'ICMP'], from: 'client', to: 'c1-n1', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP'], from: 'c1/a', to: 'c1/c', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP'], from: 'client', to: 'vip:c1/web', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP'], from: 'client', to: 'nodeport:c1-n2/web', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP'], from: 'c1/a', to: 'vip:c2/web', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments in reversed order', protocols: ['UDP'], from: 'client', to: 'vip:c1/direct', expectedSource: 'reply', action: 'reordered' },
  { name: 'fragments too large for the way, cut again', protocols: ['UDP'], from: 'c2/a', to: 'c2/c', expectedSource: 'reply', action: 'recut', family: 'ipv4' },
];

// biome-ignore format: one case a line
const TRACES: readonly CaseTemplate[] = [
  { name: 'traceroute: pod to other server', protocols: ALL, from: 'c1/a', to: 'server', expectedSource: 'reply', action: 'trace', hops: ['c1-n1', 'router/c1'] },
  { name: 'traceroute: pod to pod, other node', protocols: ALL, from: 'c1/a', to: 'c1/c', expectedSource: 'reply', action: 'trace', hops: ['c1-n1', 'c1-n2'] },
  { name: 'traceroute: other client to pod, directly', protocols: ALL, from: 'client', to: 'c1/a', expectedSource: 'reply', action: 'trace', hops: ['router/out', 'c1-n1'], mode: 'Flat' },
  { name: 'traceroute: by VIP', protocols: ['TCP'], from: 'client', to: 'vip:c1/web', expectedSource: 'reply', action: 'trace', hops: ['router/out', 'c1-n1'] },
  { name: 'traceroute: by VIP, backend on the other node', protocols: ['TCP'], from: 'client', to: 'vip:c1/far', expectedSource: 'reply', action: 'trace', hops: ['router/out', 'c1-n1', 'c1-n2'] },
  { name: 'traceroute: direct return', protocols: ['TCP'], from: 'client', to: 'vip:c1/direct', expectedSource: 'reply', action: 'trace', hops: ['router/out', 'c1-n1', 'c1-n2'] },
  { name: "traceroute: pod to the other cluster's service", protocols: ['TCP'], from: 'c1/a', to: 'vip:c2/web', expectedSource: 'reply', action: 'trace', hops: ['c1-n1', 'router/c1', 'c2-n1'] },
  { name: 'mtr: pod to other server', protocols: ALL, from: 'c1/a', to: 'server', expectedSource: 'reply', action: 'mtr', hops: ['c1-n1', 'router/c1'] },
  { name: 'mtr: by VIP', protocols: ['TCP'], from: 'client', to: 'vip:c1/web', expectedSource: 'reply', action: 'mtr', hops: ['router/out', 'c1-n1'] },
];

/** Every check of the lab: the templates for each family in the mode that its cluster has, and for each protocol. */
export function listCases(plan: LabPlan, sockets: SocketsChoice): LabCase[] {
  return [...REACH, ...SERVICES, ...LARGE, ...PATH_MTU, ...REORDERED, ...TRACES].flatMap((template) =>
    FAMILIES.flatMap((family) => expand(template, { family, mode: clusterOf(plan, 'c1').modes[family], sockets })),
  );
}

interface Circumstances {
  readonly family: Family;
  readonly mode: Mode;
  readonly sockets: SocketsChoice;
}

function expand(template: CaseTemplate, circumstances: Circumstances): LabCase[] {
  const { family, mode, sockets } = circumstances;
  if ((template.mode ?? mode) !== mode || (template.sockets ?? sockets) !== sockets) return [];
  if ((template.family ?? family) !== family) return [];
  const { name, from, to, action = 'who', mtu, hops } = template;
  const expected = expectedOf(template, circumstances);
  return template.protocols.map((protocol) => ({
    name,
    family,
    protocol,
    action,
    from,
    to,
    // ping does not tell which source it was seen with.
    expectedSource: protocol === 'ICMP' ? 'reply' : expected,
    ...(mtu === undefined ? {} : { mtu: typeof mtu === 'number' ? mtu : mtu[family] }),
    ...(hops === undefined ? {} : { hops }),
  }));
}

function expectedOf({ expectedSource }: CaseTemplate, { mode, sockets }: Circumstances): ExpectedSource {
  if (typeof expectedSource === 'string') return expectedSource;
  return 'auto' in expectedSource ? expectedSource[sockets] : expectedSource[mode];
}
