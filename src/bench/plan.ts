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
}

/** One veth pair between two namespaces, nothing in between. */
export interface Wire {
  readonly left: Station;
  readonly right: Station;
  readonly prefix: CidrPair;
  /** Of the largest packet that its ends take, for BIG TCP; the kernel's default when absent. */
  readonly packetBytes?: number;
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
  /** The peer that it is for, when it is to be without TSO. */
  readonly offload?: 'no-tso' | 'no-tso-ungrouped';
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
  /** Connections in TIME_WAIT that a namespace remembers. */
  readonly timeWaits: number;
}

export const BENCH_DIR = '/run/isthmus/bench';
export const SERVER_PORT = 8080;
export const PREFIX = 'ist-bench-';
/** Bytes; what the agent gives pods at most. */
const BIG_PACKET = 196_608;

/** Left ends of wires whose ends take packets of BIG TCP. */
const BIG_WIRES: readonly string[] = ['n1', 'big-a'];

/** Left and right of every wire. RFC 2544's range for benchmarks gives the addresses. */
const WIRES = [
  ['raw-a', 'raw-b'],
  ['host-a', 'host-b'],
  ['n1', 'n2'],
  ['island', 'island-out'],
  ['flat', 'flat-out'],
  ['routed', 'routed-out'],
  ['masq', 'masq-out'],
  ['bare-n1', 'bare-n2'],
  ['big-a', 'big-b'],
] as const;

export function planBench(): BenchPlan {
  const wires = planWires(WIRES).map((wire) =>
    BIG_WIRES.includes(wire.left.name) ? { ...wire, packetBytes: BIG_PACKET } : wire,
  );
  const station = (name: string): Station => stationOf({ wires }, name);
  return {
    wires,
    nodes: [
      planNode(station('n1'), { cluster: 'pair', mode: 'Island', number: 1 }),
      planNode(station('n2'), { cluster: 'pair', mode: 'Island', number: 2 }),
      planNode(station('island'), { cluster: 'island', mode: 'Island', number: 1 }),
      planNode(station('flat'), { cluster: 'flat', mode: 'Flat', number: 1 }),
    ],
    pods: [
      planPod('n1', 'a'),
      planPod('n1', 'b'),
      planPod('n2', 'c'),
      planPod('island', 'd'),
      { ...planPod('island', 'f'), offload: 'no-tso' },
      { ...planPod('island', 'g'), offload: 'no-tso-ungrouped' },
      planPod('flat', 'e'),
    ],
    kernelNodes: [
      planKernelNode(station('routed'), { pods: 1 }),
      planKernelNode(station('masq'), { masquerade: true }),
    ],
    bare: [planBarePath('bare-same', ['bare-n1', 'bare-n1']), planBarePath('bare-cross', ['bare-n1', 'bare-n2'])],
    // A minute's worth of them is more than there are ports, and then it is the search for one that is measured.
    timeWaits: 0,
  };
}

/** Names of all namespaces. */
export function allNamespaces(plan: BenchPlan): string[] {
  const pods = [
    ...plan.pods,
    ...plan.kernelNodes.flatMap(({ pods }) => pods),
    ...plan.bare.flatMap(({ ends }) => ends),
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

/** Wires by the names of their left and right ends; the order gives the addresses. */
export function planWires(names: readonly (readonly [string, string])[]): Wire[] {
  return names.map(([left, right], index) => planWire(left, right, index + 1));
}

function planWire(left: string, right: string, number: number): Wire {
  const prefix = { ipv4: `198.18.${number}.0/24`, ipv6: `2001:db8:b${number}::/64` };
  const station = (name: string, host: number): Station => {
    return { name, netns: `${PREFIX}${name}`, addresses: pairAt(prefix, host) };
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
