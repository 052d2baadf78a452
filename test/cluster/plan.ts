// The cluster of the harness as data: who there is, where, and every address.
import type { AddressPair, CidrPair } from '../../src/testbed/node.js';

/** A host of its own: network, mounts, processes, cgroups and host name. */
export interface Machine {
  readonly name: string;
  readonly netns: string;
  readonly addresses: AddressPair;
  /** Files that it has for itself. */
  readonly directory: string;
}

export interface ClusterNode extends Machine {
  readonly zone: string;
}

export interface ClusterPlan {
  /** Everything that is written: programs' state, logs, keys. Removed with the cluster. */
  readonly directory: string;
  readonly router: { readonly netns: string };
  readonly controlPlane: Machine;
  readonly nodes: readonly ClusterNode[];
  /** A host that is not of the cluster. */
  readonly outside: Machine;
}

/** Machines on one wire, and the router's address there. */
export interface Segment {
  readonly bridge: string;
  readonly prefix: CidrPair;
  readonly gateway: AddressPair;
}

export const PREFIX = 'ist-kube-';

export const INSIDE: Segment = {
  bridge: 'br-cluster',
  prefix: { ipv4: '192.0.2.0/24', ipv6: '2001:db8:1::/64' },
  gateway: { ipv4: '192.0.2.1', ipv6: '2001:db8:1::1' },
};

export const OUTSIDE: Segment = {
  bridge: 'br-outside',
  prefix: { ipv4: '198.51.100.0/24', ipv6: '2001:db8:100::/64' },
  gateway: { ipv4: '198.51.100.1', ipv6: '2001:db8:100::1' },
};

export const POD_CIDRS: CidrPair = { ipv4: '10.244.0.0/16', ipv6: 'fd00:10:1::/48' };
export const SERVICE_CIDRS: CidrPair = { ipv4: '10.96.0.0/16', ipv6: 'fd00:96::/112' };
export const API_SERVICE = '10.96.0.1';
export const DNS_SERVICE = '10.96.0.10';
export const DNS_DOMAIN = 'cluster.local';
export const API_PORT = 6443;

const ZONES = ['a', 'b', 'c'];

/** All of it, with files below a directory. */
export function planCluster(directory: string): ClusterPlan {
  const machine = (name: string, host: number, segment = INSIDE): Machine => ({
    name,
    netns: `${PREFIX}${name}`,
    addresses: addressesAt(segment, host),
    directory: `${directory}/${name}`,
  });
  return {
    directory,
    router: { netns: `${PREFIX}router` },
    controlPlane: machine('control-plane', 10),
    nodes: ZONES.map((zone, index) => ({ ...machine(`n${index + 1}`, 11 + index), zone: `zone-${zone}` })),
    outside: machine('outside', 10, OUTSIDE),
  };
}

/** Those with processes. */
export function allMachines(plan: ClusterPlan): Machine[] {
  return [plan.controlPlane, ...plan.nodes, plan.outside];
}

/** Names of all network namespaces, the ones that others depend on last. */
export function allNamespaces(plan: ClusterPlan): string[] {
  return [...allMachines(plan).map(({ netns }) => netns), plan.router.netns];
}

/** The traffic program, where every machine sees it. */
export function probeOf({ directory }: ClusterPlan): string {
  return `${directory}/isthmus-probe`;
}

function addressesAt({ prefix }: Segment, host: number): AddressPair {
  const at = (cidr: string, glue: string): string => `${cidr.split('/')[0]?.replace(/(\.0|::)$/, glue)}${host}`;
  return { ipv4: at(prefix.ipv4, '.'), ipv6: at(prefix.ipv6, '::') };
}
