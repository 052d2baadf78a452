// The wires between machines: a router with the cluster's segment and the outside one, both dual stack.
import type { Family } from '../../src/model/address.js';
import { FAMILIES } from '../../src/model/address.js';
import { batch, setSysctls } from '../../src/testbed/namespaces.js';
import { UPLINK } from '../../src/testbed/node.js';
import type { ClusterNode, ClusterPlan, Machine, Segment } from './plan.js';
import { allMachines, allNamespaces, INSIDE, OUTSIDE } from './plan.js';

const FORWARDING = ['net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1'];
/** Addresses are usable at once: nobody else is on these segments. */
const NO_DAD = ['net/ipv6/conf/all/accept_dad=0', 'net/ipv6/conf/default/accept_dad=0'];

/** Creates all namespaces, links, addresses and routes. */
export async function buildFabric(plan: ClusterPlan): Promise<void> {
  const names = allNamespaces(plan);
  await batch(
    undefined,
    names.map((netns) => `netns add ${netns}`),
  );
  await Promise.all(
    names.map((netns) => setSysctls(netns, netns === plan.router.netns ? [...NO_DAD, ...FORWARDING] : NO_DAD)),
  );
  await Promise.all(plan.nodes.map(({ netns }) => setSysctls(netns, FORWARDING)));
  await Promise.all(names.map((netns) => batch(netns, ['link set lo up'])));
  // Every device is created inside the namespaces it belongs to: none appears in the caller's.
  await batch(
    undefined,
    allMachines(plan).map((machine) => linkLine(machine, plan)),
  );
  await batch(plan.router.netns, [
    ...bridgeLines(INSIDE, [plan.controlPlane, ...plan.nodes]),
    ...bridgeLines(OUTSIDE, [plan.outside]),
  ]);
  await Promise.all(
    allMachines(plan).map((machine) => batch(machine.netns, stationLines(machine, segmentOf(plan, machine)))),
  );
}

/** Makes the namespace and the wire of one node, whose former ones are gone. */
export async function wireMachine(plan: ClusterPlan, node: ClusterNode): Promise<void> {
  const { name, netns } = node;
  await batch(undefined, [`netns add ${netns}`]);
  await setSysctls(netns, [...NO_DAD, ...FORWARDING]);
  await batch(undefined, [linkLine(node, plan)]);
  await batch(plan.router.netns, [`link set ${name} master ${INSIDE.bridge}`, `link set ${name} up`]);
  await batch(netns, ['link set lo up', ...stationLines(node, INSIDE)]);
}

/** Leads the outside to pods by their nodes: what a router learns in a flat network. */
export async function routeToPods(
  plan: ClusterPlan,
  family: Family,
  podCIDRs: ReadonlyMap<string, string>,
): Promise<void> {
  const lines = plan.nodes.flatMap(({ name, addresses }) => {
    const cidr = podCIDRs.get(name);
    return cidr === undefined ? [] : [`route replace ${cidr} via ${addresses[family]}`];
  });
  await batch(plan.router.netns, lines);
}

/** A machine that is started again has the same hardware address: its neighbours know it. */
function linkLine({ name, netns, addresses }: Machine, { router }: ClusterPlan): string {
  const octets = addresses.ipv4.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'));
  const address = ['02', '00', ...octets].join(':');
  return `link add name ${UPLINK} address ${address} netns ${netns} type veth peer name ${name} netns ${router.netns}`;
}

function segmentOf(plan: ClusterPlan, machine: Machine): Segment {
  return machine === plan.outside ? OUTSIDE : INSIDE;
}

function bridgeLines({ bridge, gateway, prefix }: Segment, machines: readonly Machine[]): string[] {
  return [
    // Without a querier, snooping would hold back neighbour solicitations.
    `link add name ${bridge} type bridge forward_delay 0 mcast_snooping 0`,
    ...machines.flatMap(({ name }) => [`link set ${name} master ${bridge}`, `link set ${name} up`]),
    ...FAMILIES.map((family) => addressLine(gateway[family], prefix[family], bridge)),
    `link set ${bridge} up`,
  ];
}

function stationLines({ addresses }: Machine, { prefix, gateway }: Segment): string[] {
  return [
    ...FAMILIES.map((family) => addressLine(addresses[family], prefix[family], UPLINK)),
    `link set ${UPLINK} up`,
    ...FAMILIES.map((family) => `route add default via ${gateway[family]} dev ${UPLINK}`),
  ];
}

function addressLine(address: string, prefix: string, device: string): string {
  const length = prefix.split('/')[1];
  return `addr add ${address}/${length} dev ${device}${address.includes(':') ? ' nodad' : ''}`;
}
