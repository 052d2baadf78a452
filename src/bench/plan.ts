// The benchmark's picture as data: direct wires, nodes of ours and of the kernel's, pods, and every address.
import type { Cidr, IpAddress } from '../model/address.js';
import { addressAt } from '../model/address.js';
import type { Mode } from '../model/network.js';
import type { AddressPair, CidrPair, TestNode, TestPod } from '../testbed/node.js';

/** A namespace at one end of a wire; its device is `eth0`. */
export interface Station {
  readonly name: string;
  readonly netns: string;
  readonly addresses: AddressPair;
  /** Of its device, bytes, and of its pods' devices; the kernel's default when absent. */
  readonly mtu?: number;
}

/** One veth pair between two namespaces, nothing in between. */
export interface Wire {
  readonly left: Station;
  readonly right: Station;
  readonly prefix: CidrPair;
}

/** A node with an agent of ours. */
export interface BenchNode extends TestNode {
  readonly cluster: string;
  readonly mode: Mode;
  /** Of the whole cluster. */
  readonly clusterCIDRs: CidrPair;
  /** `spec.nat` of its ClusterNetwork; the defaults when absent. */
  readonly nat?: Readonly<Record<string, unknown>>;
}

export interface BenchPod extends TestPod {
  readonly node: string;
}

export interface KernelPod {
  readonly netns: string;
  readonly address: IpAddress;
  readonly gateway: IpAddress;
  /** Its veth's side on the node. */
  readonly device: string;
}

/** A node that the kernel's own forwarding serves, with at least one pod. */
export interface KernelNode extends Station {
  readonly masquerade: boolean;
  readonly pods: readonly [KernelPod, ...KernelPod[]];
}

/** A pod that the CNI project's plugins wire. */
export interface BridgePod extends BenchPod {
  /** Of its node, handed over to the server's port. */
  readonly hostPort?: number;
}

/** A node whose pods are wired by the CNI project's plugins: bridge, host-local and portmap, masqueraded. */
export interface BridgeNode extends Station {
  /** Of its pods. */
  readonly subnet: Cidr;
  readonly pods: readonly BridgePod[];
  /** To the pods of other nodes. */
  readonly routes: readonly { readonly subnet: Cidr; readonly via: IpAddress }[];
}

/** One end of a bare path: a place like a pod, and its veth's host side on a node without an agent. */
export interface BareEnd {
  readonly netns: string;
  readonly address: IpAddress;
  readonly node: string;
  readonly device: string;
}

/** Two places whose packets the smallest programs hand over: what no datapath of programs can be faster than. */
export interface BarePath {
  readonly name: 'bare-same' | 'bare-cross';
  readonly ends: readonly [BareEnd, BareEnd];
}

export interface BenchPlan {
  readonly wires: readonly Wire[];
  readonly nodes: readonly BenchNode[];
  readonly pods: readonly BenchPod[];
  readonly kernelNodes: readonly KernelNode[];
  readonly bare: readonly BarePath[];
  readonly bridges: readonly BridgeNode[];
  /** Connections in TIME_WAIT that a namespace remembers. */
  readonly timeWaits: number;
}

export const BENCH_DIR = '/run/isthmus/bench';
export const SERVER_PORT = 8080;
export const PREFIX = 'ist-bench-';

/** What the names of everything with large packets end in, and their MTU. */
export const JUMBO = { suffix: '-9000', mtu: 9000 } as const;
/** Pods of all nodes whose pods plugins of others wire. */
export const BRIDGE_PODS = '10.246.0.0/16';
const HOST_PORT = 8081;

/** Left and right of every wire. RFC 2544's range for benchmarks gives the addresses. */
const WIRES = [
  ['raw-a', 'raw-b'],
  ['host-a', 'host-b'],
  ['n1', 'n2'],
  ['island', 'island-out'],
  ['flat', 'flat-out'],
  ['masq', 'masq-out'],
  ['routed', 'routed-out'],
  ['bare-n1', 'bare-n2'],
  ['bridge-n1', 'bridge-n2'],
  ['bridge', 'bridge-out'],
] as const;
/** Those that are there a second time, with large packets: from the first on. */
const JUMBO_WIRES = 6;

export interface BenchPlanOptions {
  /** Whether the world of large packets is there, too; true when absent. */
  readonly jumbo?: boolean;
}

export function planBench({ jumbo = true }: BenchPlanOptions = {}): BenchPlan {
  const large = WIRES.slice(0, JUMBO_WIRES).map(([left, right]) => [left, right].map((name) => name + JUMBO.suffix));
  const wires = [...planWires(WIRES), ...(jumbo ? planWires(large, { after: WIRES.length, mtu: JUMBO.mtu }) : [])];
  const station = (name: string): Station => stationOf({ wires }, name);
  const suffixes = jumbo ? ['', JUMBO.suffix] : [''];
  return {
    wires,
    nodes: suffixes.flatMap((suffix) => planNodes(station, suffix)),
    pods: suffixes.flatMap(planPods),
    kernelNodes: [
      planKernelNode(station('routed'), { pods: 1 }),
      ...suffixes.map((suffix) => planKernelNode(station(`masq${suffix}`), { masquerade: true })),
    ],
    bare: [planBarePath('bare-same', ['bare-n1', 'bare-n1']), planBarePath('bare-cross', ['bare-n1', 'bare-n2'])],
    bridges: planBridges(station),
    // A minute's worth of them is more than there are ports, and then it is the search for one that is measured.
    timeWaits: 0,
  };
}

function planNodes(station: (name: string) => Station, suffix: string): BenchNode[] {
  const [pair, island, flat] = ['pair', 'island', 'flat'].map((cluster) => cluster + suffix) as [
    string,
    string,
    string,
  ];
  return [
    planNode(station(`n1${suffix}`), { cluster: pair, mode: 'Island', number: 1 }),
    planNode(station(`n2${suffix}`), { cluster: pair, mode: 'Island', number: 2 }),
    planNode(station(island), { cluster: island, mode: 'Island', number: 1 }),
    planNode(station(flat), { cluster: flat, mode: 'Flat', number: 1 }),
  ];
}

function planPods(suffix: string): BenchPod[] {
  const pods = [
    ['n1', 'a'],
    ['n1', 'b'],
    ['n2', 'c'],
    ['island', 'd'],
    ['flat', 'e'],
  ] as const;
  return pods.map(([node, name]) => planPod(`${node}${suffix}`, name));
}

function planBridges(station: (name: string) => Station): BridgeNode[] {
  const [first, second] = ['10.246.1.0/24', '10.246.2.0/24'] as const;
  const [n1, n2, single] = [station('bridge-n1'), station('bridge-n2'), station('bridge')];
  const pod = (node: Station, name: string): BridgePod => planPod(node.name, name);
  return [
    {
      ...n1,
      subnet: first,
      pods: [pod(n1, 'a'), { ...pod(n1, 'b'), hostPort: HOST_PORT }],
      routes: [{ subnet: second, via: n2.addresses.ipv4 }],
    },
    { ...n2, subnet: second, pods: [pod(n2, 'c')], routes: [{ subnet: first, via: n1.addresses.ipv4 }] },
    { ...single, subnet: first, pods: [pod(single, 'd')], routes: [] },
  ];
}

/** Names of all namespaces. */
export function allNamespaces(plan: BenchPlan): string[] {
  const pods = [
    ...plan.pods,
    ...plan.kernelNodes.flatMap(({ pods }) => pods),
    ...plan.bare.flatMap(({ ends }) => ends),
    ...plan.bridges.flatMap(({ pods }) => pods),
  ];
  return [...pods, ...allStations(plan)].map(({ netns }) => netns);
}

export function allStations(plan: BenchPlan): Station[] {
  return plan.wires.flatMap(({ left, right }) => [left, right]);
}

/** The namespace at the end of a wire. */
export function stationOf({ wires }: Pick<BenchPlan, 'wires'>, name: string): Station {
  const found = wires.flatMap(({ left, right }) => [left, right]).find((one) => one.name === name);
  if (!found) throw new Error(`no wire ends at '${name}'`);
  return found;
}

interface WireOptions {
  /** How many wires there are before. */
  readonly after?: number;
  readonly mtu?: number;
}

/** The namespace at the right end of the wire that begins at the named one. */
export function farEndOf({ wires }: Pick<BenchPlan, 'wires'>, name: string): Station {
  const found = wires.find(({ left }) => left.name === name);
  if (!found) throw new Error(`no wire begins at '${name}'`);
  return found.right;
}

/** Wires by the names of their left and right ends; the order gives the addresses. */
export function planWires(names: readonly (readonly string[])[], { after = 0, mtu }: WireOptions = {}): Wire[] {
  return names.map(([left = '', right = ''], index) => planWire([left, right], after + index + 1, mtu));
}

function planWire([left, right]: readonly [string, string], number: number, mtu?: number): Wire {
  const prefix = { ipv4: `198.18.${number}.0/24`, ipv6: `2001:db8:b${number}::/64` };
  const station = (name: string, host: number): Station => {
    const addresses = pairAt(prefix, host);
    return { name, netns: `${PREFIX}${name}`, addresses, ...(mtu === undefined ? {} : { mtu }) };
  };
  return { left: station(left, 1), right: station(right, 2), prefix };
}

interface NodeOptions {
  readonly cluster: string;
  readonly mode: Mode;
  /** Within its cluster. */
  readonly number: number;
  readonly nat?: BenchNode['nat'];
}

export function planNode(station: Station, of: NodeOptions): BenchNode {
  return {
    ...station,
    cluster: of.cluster,
    mode: of.mode,
    ...(of.nat === undefined ? {} : { nat: of.nat }),
    clusterCIDRs: { ipv4: '10.244.0.0/16', ipv6: 'fd00:10:244::/48' },
    podCIDRs: { ipv4: `10.244.${of.number}.0/24`, ipv6: `fd00:10:244:${of.number}::/64` },
    stateDir: `${BENCH_DIR}/${station.name}`,
  };
}

export function planPod(node: string, name: string): BenchPod {
  const netns = `${PREFIX}pod-${node}-${name}`;
  return { id: `${node}/${name}`, name, node, netns, containerID: `bench-${node}-${name}` };
}

export function planKernelNode(
  station: Station,
  { masquerade = false, pods = 1 }: { readonly masquerade?: boolean; readonly pods?: number },
): KernelNode {
  const [first, ...others] = Array.from({ length: pods }, (_, index) => planKernelPod(station, index));
  if (first === undefined) throw new Error(`${station.name} has no pod`);
  return { ...station, masquerade, pods: [first, ...others] };
}

function planKernelPod({ name }: Station, index: number): KernelPod {
  const net = `10.244.${index + 1}`;
  const netns = `${PREFIX}pod-${name}${index === 0 ? '' : `-${index + 1}`}`;
  return { netns, address: `${net}.10`, gateway: `${net}.1`, device: `pod${index}` };
}

function planBarePath(name: BarePath['name'], [left, right]: readonly [string, string]): BarePath {
  const end = (node: string, number: number): BareEnd => ({
    netns: `${PREFIX}pod-${name}-${number}`,
    address: `10.244.1.${number}`,
    node: `${PREFIX}${node}`,
    device: `${name}-${number}`,
  });
  return { name, ends: [end(left, 1), end(right, 2)] };
}

function pairAt(cidrs: CidrPair, offset: number): AddressPair {
  const at = (cidr: Cidr): IpAddress => addressAt(cidr, BigInt(offset)) ?? '';
  return { ipv4: at(cidrs.ipv4), ipv6: at(cidrs.ipv6) };
}
