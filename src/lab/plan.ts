// The lab's picture as data: clusters, nodes, pods, outside hosts and every address, computed from the mode.
import type { Cidr, Family, IpAddress } from '../model/address.js';
import { addressAt } from '../model/address.js';
import type { Mode } from '../model/network.js';
import type { AddressPair, CidrPair, TestNode, TestPod } from '../testbed/node.js';

export type LabMode = 'island' | 'flat';

/** Its id, as commands and cases name it: `c1/a`. */
export interface LabPod extends TestPod {
  readonly cluster: string;
  readonly node: string;
}

export interface LabNode extends TestNode {
  readonly cluster: string;
}

export interface LabService {
  readonly name: string;
  readonly vip: AddressPair;
  readonly clusterIP: AddressPair;
  readonly nodePort: number;
  /** Whether another node's pod answers clients outside itself. */
  readonly direct: boolean;
  /** Names of the pods behind it. */
  readonly backends: readonly string[];
}

export interface LabCluster {
  readonly name: string;
  readonly bridge: string;
  readonly segment: CidrPair;
  /** The router's address on the segment. */
  readonly gateway: AddressPair;
  readonly podCIDRs: CidrPair;
  readonly vips: CidrPair;
  readonly modes: Readonly<Record<Family, Mode>>;
  readonly nodes: readonly LabNode[];
  readonly pods: readonly LabPod[];
  readonly services: readonly LabService[];
}

export interface LabHost {
  readonly name: string;
  readonly netns: string;
  readonly addresses: AddressPair;
  /** A second address, behind the path MTU bottleneck. */
  readonly narrow?: AddressPair;
}

export interface LabPlan {
  readonly mode: LabMode;
  readonly router: { readonly netns: string; readonly bridge: string; readonly gateway: AddressPair };
  readonly outside: CidrPair;
  readonly hosts: readonly LabHost[];
  readonly clusters: readonly LabCluster[];
}

export const LAB_DIR = '/run/isthmus/lab';
/** The port that every server of the lab listens on, and the port of its Services. */
export const SERVER_PORT = 8080;
export const SERVICE_PORT = 80;
/** The bottleneck's MTU, bytes: below 1500 and not below IPv6's minimum of 1280. */
export const NARROW_MTU = 1300;
/** What the routing tables of c2's nodes say of the way between them, bytes, as if it were a tunnel. */
export const FABRIC_MTU = 1400;
/** Whose packets from outside are handed over to the other node. */
export const DIRECT_SERVICE = 'direct';
/** Whose VIP is behind the bottleneck. */
export const NARROW_SERVICE = 'narrow';

const PREFIX = 'ist-';

/** The whole lab in one mode. IPv6 is flat in both. */
export function planLab(mode: LabMode): LabPlan {
  return {
    mode,
    router: {
      netns: `${PREFIX}router`,
      bridge: 'br-out',
      gateway: { ipv4: '198.51.100.1', ipv6: '2001:db8:100::1' },
    },
    outside: { ipv4: '198.51.100.0/24', ipv6: '2001:db8:100::/64' },
    hosts: [
      { name: 'client', netns: `${PREFIX}client`, addresses: outsideHost(10) },
      { name: 'server', netns: `${PREFIX}server`, addresses: outsideHost(30), narrow: outsideHost(31) },
    ],
    clusters: [planCluster(mode, 1), planCluster(mode, 2)],
  };
}

export function allNodes(plan: LabPlan): LabNode[] {
  return plan.clusters.flatMap((cluster) => cluster.nodes);
}

export function allPods(plan: LabPlan): LabPod[] {
  return plan.clusters.flatMap((cluster) => cluster.pods);
}

/** Names of all namespaces, the ones that others depend on last. */
export function allNamespaces(plan: LabPlan): string[] {
  const named = [...allPods(plan), ...allNodes(plan), ...plan.hosts];
  return [...named.map((one) => one.netns), plan.router.netns];
}

export function clusterOf(plan: LabPlan, name: string): LabCluster {
  const found = plan.clusters.find((cluster) => cluster.name === name);
  if (!found)
    throw new Error(`the lab has no cluster '${name}'; it has ${plan.clusters.map((c) => c.name).join(', ')}`);
  return found;
}

function outsideHost(number: number): AddressPair {
  return { ipv4: `198.51.100.${number}`, ipv6: `2001:db8:100::${number}` };
}

function planCluster(mode: LabMode, number: 1 | 2): LabCluster {
  const name = `c${number}`;
  const base = (number - 1) * 64;
  // The same IPv4 pod CIDR in both clusters is what makes them islands; a flat network needs unique ones.
  const second = mode === 'island' ? 244 : 243 + number;
  const segment = { ipv4: `192.0.2.${base}/26`, ipv6: `2001:db8:${number}::/64` };
  return {
    name,
    bridge: `br-${name}`,
    segment,
    gateway: { ipv4: `192.0.2.${base + 1}`, ipv6: `2001:db8:${number}::1` },
    podCIDRs: { ipv4: `10.${second}.0.0/16`, ipv6: `fd00:10:${number}::/48` },
    vips: { ipv4: `203.0.113.${base}/26`, ipv6: `2001:db8:f${number}::/64` },
    modes: { ipv4: mode === 'island' ? 'Island' : 'Flat', ipv6: 'Flat' },
    nodes: [1, 2].map((node) => planNode({ cluster: name, number: node, base, second, segment: number })),
    pods: planPods(name),
    services: planServices(base, number),
  };
}

function planNode(of: { cluster: string; number: number; base: number; second: number; segment: number }): LabNode {
  const name = `${of.cluster}-n${of.number}`;
  const host = of.base + 10 + of.number;
  return {
    name,
    cluster: of.cluster,
    netns: `${PREFIX}${name}`,
    addresses: { ipv4: `192.0.2.${host}`, ipv6: `2001:db8:${of.segment}::${host}` },
    podCIDRs: { ipv4: `10.${of.second}.${of.number}.0/24`, ipv6: `fd00:10:${of.segment}:${of.number}::/64` },
    stateDir: `${LAB_DIR}/${name}`,
  };
}

function planPods(cluster: string): LabPod[] {
  const places = { a: 'n1', b: 'n1', c: 'n2' };
  return Object.entries(places).map(([name, node]) => ({
    id: `${cluster}/${name}`,
    cluster,
    name,
    node: `${cluster}-${node}`,
    netns: `${PREFIX}pod-${cluster}-${name}`,
    containerID: `lab-${cluster}-${name}`,
  }));
}

/**
 * web: on the node that the VIPs are routed to; far: on the other node; pair: two pods; empty: none; narrow: as web, its
 * VIP is behind the path MTU bottleneck; direct: as far, but the other node answers the client itself.
 */
function planServices(base: number, cluster: number): LabService[] {
  const backends = {
    web: ['a'],
    far: ['c'],
    pair: ['a', 'b'],
    empty: [],
    [NARROW_SERVICE]: ['a'],
    [DIRECT_SERVICE]: ['c'],
  };
  const vips = { ipv4: `203.0.113.${base}/26`, ipv6: `2001:db8:f${cluster}::/64` };
  const clusterIPs = { ipv4: '10.96.0.0/16', ipv6: `fd00:96:${cluster}::/112` };
  return Object.entries(backends).map(([name, pods], index) => ({
    name,
    vip: pairAt(vips, index + 1),
    clusterIP: pairAt(clusterIPs, index + 10),
    nodePort: 30080 + index,
    direct: name === DIRECT_SERVICE,
    backends: pods,
  }));
}

function pairAt(cidrs: CidrPair, offset: number): AddressPair {
  const at = (cidr: Cidr): IpAddress => addressAt(cidr, BigInt(offset)) ?? '';
  return { ipv4: at(cidrs.ipv4), ipv6: at(cidrs.ipv6) };
}
