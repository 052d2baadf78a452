// Routes of the node's own stack to the pods of other nodes: for its processes, and for what asks bpf_fib_lookup.
import { contains, type Cidr, FAMILIES, familyOf, parseCidr } from '../model/address.js';
import type { Snapshot } from '../model/snapshot.js';
import type { LinkInfo, Netlink, RouteInfo } from '../net/native.js';

export interface HostRoutesInput {
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly nodeName: string;
  readonly snapshot: Snapshot;
}

/**
 * Makes the node's routes to pods of other nodes what the snapshot says. A route by a gateway to addresses inside the
 * cluster's pod CIDRs is ours; any other is left alone. Throws NativeError for a route that the kernel refuses.
 */
export function reconcileHostRoutes(input: HostRoutesInput): void {
  const { node, uplink } = input;
  const want = new Map(wantedRoutes(input).map((route) => [route.destination, route]));
  for (const route of ownRoutes(input)) {
    const wanted = want.get(parseCidr(route.destination));
    if (wanted === undefined) node.deleteRoute(route);
    else if (wanted.gateway === route.gateway && route.ifindex === uplink.ifindex) want.delete(wanted.destination);
  }
  for (const route of want.values()) node.replaceRoute(route);
}

function wantedRoutes({ snapshot, nodeName, uplink }: HostRoutesInput): RouteInfo[] {
  return [...snapshot.nodes.values()]
    .filter(({ name }) => name !== nodeName)
    .flatMap(({ addresses, podCIDRs }) =>
      podCIDRs.flatMap((destination): RouteInfo[] => {
        const gateway = addresses.find((address) => familyOf(address) === familyOf(destination));
        return gateway === undefined ? [] : [{ destination, gateway, ifindex: uplink.ifindex, onlink: true }];
      }),
    );
}

function ownRoutes({ node, snapshot }: HostRoutesInput): RouteInfo[] {
  const inside: Cidr[] = FAMILIES.flatMap((family) => [...(snapshot.network?.families[family]?.podCIDRs ?? [])]);
  return node
    .routes()
    .filter(({ gateway, destination }) => gateway !== undefined && inside.some((cidr) => contains(cidr, destination)));
}
