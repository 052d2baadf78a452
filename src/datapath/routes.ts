// Contents of the map `routes`: where packets go that are not for a pod of this node.
import { type Cidr, cidrBytes, contains, FAMILIES, type Family, familyOf, formatAddress } from '../model/address.js';
import type { ClusterNetwork, FamilyNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import { firstAddress, UNSPECIFIED } from './node-address.js';
import { type Table, toTable } from './table.js';
import { ROUTE_TYPE, type Route, type RouteKey } from './types.gen.js';

export interface RoutesInput {
  readonly network: ClusterNetwork;
  readonly nodeName: string;
  readonly nodes: ReadonlyMap<string, Node>;
}

type Entry = readonly [RouteKey, Route];

export function compileRoutes({ network, nodeName, nodes }: RoutesInput): Table<RouteKey, Route> {
  return toTable(
    FAMILIES.flatMap((family) => {
      const carried = network.families[family];
      if (carried === undefined) return [];
      // Of one prefix the first entry stays: a node that has the cluster's whole CIDR is reached.
      return [
        ...nodeRoutes(family, nodeName, nodes),
        ...unreachable(carried, nodes.get(nodeName)),
        ...nodeAddresses(family, nodes),
        ...native(carried),
      ];
    }),
  );
}

function nodeRoutes(family: Family, nodeName: string, nodes: ReadonlyMap<string, Node>): Entry[] {
  return [...nodes.values()].flatMap((node) => {
    const next_hop = firstAddress(node, family);
    if (node.name === nodeName || next_hop === UNSPECIFIED) return [];
    const cidrs = node.podCIDRs.filter((cidr) => familyOf(cidr) === family);
    return cidrs.map((cidr): Entry => [routeKey(cidr), { type: ROUTE_TYPE.ROUTE_NODE, next_hop }]);
  });
}

/** Inside addresses that no node owns, and those of this node that no pod has, are refused; longer prefixes win. */
function unreachable({ podCIDRs }: FamilyNetwork, own: Node | undefined): Entry[] {
  const ownCIDRs = (own?.podCIDRs ?? []).filter((cidr) => podCIDRs.some((outer) => contains(outer, cidr)));
  return [...podCIDRs, ...ownCIDRs].map((cidr) => [
    routeKey(cidr),
    { type: ROUTE_TYPE.ROUTE_UNREACHABLE, next_hop: UNSPECIFIED },
  ]);
}

/** Inside the cluster nothing is translated anyway, and such a route would lead its pods' packets out of it. */
function native({ podCIDRs, neverTranslate }: FamilyNetwork): Entry[] {
  const outside = neverTranslate.filter((cidr) => !podCIDRs.some((outer) => contains(outer, cidr)));
  return outside.map((cidr) => [routeKey(cidr), { type: ROUTE_TYPE.ROUTE_NATIVE, next_hop: UNSPECIFIED }]);
}

/** Pods and nodes of a cluster see each other as they are; and the answer to a node's request must find its flow. */
function nodeAddresses(family: Family, nodes: ReadonlyMap<string, Node>): Entry[] {
  const suffix = family === 'ipv4' ? 32 : 128;
  return [...nodes.values()].flatMap((node) => {
    const addresses = node.addresses.filter((one) => familyOf(one) === family);
    // What it hands over to pods of other nodes comes from its first one.
    const route = { type: ROUTE_TYPE.ROUTE_NATIVE, next_hop: firstAddress(node, family) };
    return addresses.map((address): Entry => [routeKey(`${address}/${suffix}`), route]);
  });
}

function routeKey(cidr: Cidr): RouteKey {
  const { bytes, length } = cidrBytes(cidr);
  return { prefix_length: length, prefix: formatAddress(bytes) };
}
