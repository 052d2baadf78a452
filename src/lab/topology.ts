// The plan as kernel objects: lines for `ip -batch`, sysctls, and the namespaces themselves.
import type { Family } from '../model/address.js';
import { FAMILIES } from '../model/address.js';
import { run } from '../testbed/command.js';
import { batch, setSysctls } from '../testbed/namespaces.js';
import type { AddressPair, CidrPair } from '../testbed/node.js';
import { UPLINK } from '../testbed/node.js';
import type { LabCluster, LabNode, LabPlan } from './plan.js';
import { allNamespaces, allNodes, FABRIC_MTU, NARROW_MTU, NARROW_SERVICE } from './plan.js';

const FORWARDING = ['net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1'];
/** Each probe of a traceroute is answered, not only the first ones of a second. */
const NO_LIMIT = ['net/ipv4/icmp_ratelimit=0', 'net/ipv6/icmp/ratelimit=0'];
/** Addresses are usable at once: nobody else is on these segments. */
const NO_DAD = ['net/ipv6/conf/all/accept_dad=0', 'net/ipv6/conf/default/accept_dad=0'];
/** Whose nodes reach each other by what takes less than their devices. */
const FABRIC_CLUSTER = 'c2';
/** The routing table that packets from behind the bottleneck use. */
const NARROW_TABLE = 131;

/** Creates namespaces, links, addresses and routes; the pods' namespaces stay without a link until CNI wires them. */
export async function buildTopology(plan: LabPlan): Promise<void> {
  await batch(
    undefined,
    allNamespaces(plan).map((netns) => `netns add ${netns}`),
  );
  const router = plan.router.netns;
  await Promise.all([
    setSysctls(router, [...NO_DAD, ...FORWARDING, ...NO_LIMIT]),
    ...allNodes(plan).map((node) => setSysctls(node.netns, [...NO_DAD, ...FORWARDING])),
    ...plan.hosts.map((host) => setSysctls(host.netns, [...NO_DAD, ...NO_LIMIT])),
    ...allNamespaces(plan).map((netns) => batch(netns, ['link set lo up'])),
  ]);
  await batch(undefined, linkLines(plan));
  await batch(router, routerLines(plan));
  for (const family of FAMILIES) await batch(router, narrowLines(plan, family), family);
  await Promise.all([
    ...plan.clusters.flatMap((cluster) => cluster.nodes.map((node) => batch(node.netns, nodeLines(cluster, node)))),
    ...plan.hosts.map((host) =>
      batch(host.netns, stationLines({ ...host, prefix: plan.outside, gateway: plan.router.gateway })),
    ),
  ]);
}

/**
 * Makes the links of the nodes like wires: what arrives has finished checksums, which an xdp program can change, and the
 * other end takes frames that such a program sends. Costs the segmentation offload of everybody.
 */
export async function makeWires(plan: LabPlan): Promise<void> {
  for (const { name } of allNodes(plan)) {
    await run(['ethtool', '-K', name, 'tx', 'off', 'gro', 'on'], { netns: plan.router.netns });
  }
}

/** Every device of the lab is created inside the namespaces it belongs to: none appears in the caller's. */
export function linkLines(plan: LabPlan): string[] {
  const router = plan.router.netns;
  const veth = (netns: string, port: string): string =>
    `link add name ${UPLINK} netns ${netns} type veth peer name ${port} netns ${router}`;
  return [
    ...allNodes(plan).map((node) => veth(node.netns, node.name)),
    ...plan.hosts.map((host) => veth(host.netns, host.name)),
  ];
}

/** Bridges, addresses, and routes to the VIPs and to the pods of flat families. */
export function routerLines(plan: LabPlan): string[] {
  return [
    ...bridgeLines(
      plan.router.bridge,
      plan.hosts.map((host) => host.name),
      plan.router.gateway,
      plan.outside,
    ),
    ...plan.clusters.flatMap((cluster) => [
      ...bridgeLines(
        cluster.bridge,
        cluster.nodes.map((node) => node.name),
        cluster.gateway,
        cluster.segment,
      ),
      ...FAMILIES.flatMap((family) => clusterRoutes(cluster, family)),
    ]),
  ];
}

function bridgeLines(bridge: string, ports: readonly string[], gateway: AddressPair, prefix: CidrPair): string[] {
  return [
    // Without a querier, snooping would hold back neighbour solicitations.
    `link add name ${bridge} type bridge forward_delay 0 mcast_snooping 0`,
    ...ports.flatMap((port) => [`link set ${port} master ${bridge}`, `link set ${port} up`]),
    ...FAMILIES.map((family) => addressLine(gateway[family], prefix[family], bridge)),
    `link set ${bridge} up`,
  ];
}

function clusterRoutes(cluster: LabCluster, family: Family): string[] {
  const first = cluster.nodes[0]?.addresses[family];
  const toPods = cluster.nodes.map((node) => `route add ${node.podCIDRs[family]} via ${node.addresses[family]}`);
  return [`route add ${cluster.vips[family]} via ${first}`, ...(cluster.modes[family] === 'Flat' ? toPods : [])];
}

function narrowVips(plan: LabPlan, family: Family): { vip: string; via: string }[] {
  return plan.clusters.flatMap((cluster) => {
    const via = cluster.nodes[0]?.addresses[family] ?? '';
    const services = cluster.services.filter(({ name }) => name === NARROW_SERVICE);
    return services.map(({ vip }) => ({ vip: vip[family], via }));
  });
}

/** To and from the narrow addresses the router takes a smaller MTU, as a tunnel in the middle of a path does. */
function narrowLines(plan: LabPlan, family: Family): string[] {
  const mtu = `mtu lock ${NARROW_MTU}`;
  const addresses = plan.hosts.flatMap((host) => host.narrow?.[family] ?? []);
  const vips = narrowVips(plan, family);
  return [
    ...addresses.map((address) => `route add ${address} dev ${plan.router.bridge} ${mtu}`),
    ...vips.map(({ vip, via }) => `route add ${vip} via ${via} ${mtu}`),
    ...[...addresses, ...vips.map(({ vip }) => vip)].map(
      (address) => `rule add from ${address} lookup ${NARROW_TABLE}`,
    ),
    ...plan.clusters.flatMap((cluster) => [
      `route add ${cluster.segment[family]} dev ${cluster.bridge} table ${NARROW_TABLE} ${mtu}`,
      ...clusterRoutes(cluster, family).map((line) => `${line} table ${NARROW_TABLE} ${mtu}`),
    ]),
  ];
}

function nodeLines(cluster: LabCluster, node: LabNode): string[] {
  const lines = stationLines({ addresses: node.addresses, prefix: cluster.segment, gateway: cluster.gateway });
  if (cluster.name !== FABRIC_CLUSTER) return lines;
  const others = cluster.nodes.filter(({ name }) => name !== node.name);
  const fabric = others.flatMap(({ addresses }) =>
    FAMILIES.map((family) => `route add ${addresses[family]} dev ${UPLINK} mtu lock ${FABRIC_MTU}`),
  );
  return [...lines, ...fabric];
}

interface Station {
  readonly addresses: AddressPair;
  readonly narrow?: AddressPair;
  readonly prefix: CidrPair;
  readonly gateway: AddressPair;
}

function stationLines(station: Station): string[] {
  return FAMILIES.flatMap((family) => {
    const all = [station.addresses[family], ...(station.narrow ? [station.narrow[family]] : [])];
    return [
      ...all.map((address) => addressLine(address, station.prefix[family], UPLINK)),
      `link set ${UPLINK} up`,
      // Without a preferred source IPv6 would take the newest address, the narrow one.
      `route add default via ${station.gateway[family]} dev ${UPLINK} src ${station.addresses[family]}`,
    ];
  });
}

function addressLine(address: string, prefix: string, device: string): string {
  const length = prefix.split('/')[1];
  return `addr add ${address}/${length} dev ${device}${address.includes(':') ? ' nodad' : ''}`;
}
