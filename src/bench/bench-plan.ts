// The picture for whole paths as data: limits, nodes of ours, of the kernel's and behind bridges, and most of it twice.
import type {
  BareEnd,
  BarePath,
  BenchNode,
  BenchPlan,
  BenchPod,
  BridgeNode,
  BridgePod,
  Station,
  Wire,
} from './plan.js';
import { PREFIX, planKernelNode, planNode, planPod, planWires, stationOf } from './plan.js';

/** What the names of everything with large packets end in, and their MTU. */
export const JUMBO = { suffix: '-9000', mtu: 9000 } as const;
/** Pods of all nodes whose pods plugins of others wire. */
export const BRIDGE_PODS = '10.246.0.0/16';
const HOST_PORT = 8081;
/** What the agent gives pods at most. */
const BIG_PACKET = 196_608;

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
  ['big-a', 'big-b'],
] as const;
/** Left ends of wires whose ends take packets of BIG TCP. */
const BIG_WIRES: readonly string[] = ['n1', 'big-a'];
/** Those that are there a second time, with large packets: from the first on. */
const JUMBO_WIRES = 6;

export interface BenchPlanOptions {
  /** Whether the world of large packets is there, too; true when absent. */
  readonly jumbo?: boolean;
}

export function planBench({ jumbo = true }: BenchPlanOptions = {}): BenchPlan {
  const large = WIRES.slice(0, JUMBO_WIRES).map(([left, right]) => [left, right].map((name) => name + JUMBO.suffix));
  const wires = [...planUsualWires(), ...(jumbo ? planWires(large, { after: WIRES.length, mtu: JUMBO.mtu }) : [])];
  const station = (name: string): Station => stationOf({ wires }, name);
  const suffixes = jumbo ? ['', JUMBO.suffix] : [''];
  return {
    wires,
    nodes: suffixes.flatMap((suffix) => planNodes(station, suffix)),
    pods: [...suffixes.flatMap(planPods), ...planPodsWithoutTso()],
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

/** Pods send packets that their node's uplink takes; that of one cluster takes large ones. */
function planUsualWires(): Wire[] {
  return planWires(WIRES).map((wire) =>
    BIG_WIRES.includes(wire.left.name) ? { ...wire, packetBytes: BIG_PACKET } : wire,
  );
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

function planPodsWithoutTso(): BenchPod[] {
  return [
    { ...planPod('island', 'f'), offload: 'no-tso' },
    { ...planPod('island', 'g'), offload: 'no-tso-ungrouped' },
  ];
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

function planBarePath(name: BarePath['name'], [left, right]: readonly [string, string]): BarePath {
  const end = (node: string, number: number): BareEnd => ({
    netns: `${PREFIX}pod-${name}-${number}`,
    address: `10.244.1.${number}`,
    node: `${PREFIX}${node}`,
    device: `${name}-${number}`,
  });
  return { name, ends: [end(left, 1), end(right, 2)] };
}
