// Routes of the node's own stack to the pods of other nodes: for its processes, and for what asks bpf_fib_lookup.
import { type Cidr, contains, FAMILIES, familyOf, parseCidr } from '../model/address.js';
import type { Snapshot } from '../model/snapshot.js';
import type { LinkInfo, Netlink, RouteInfo } from '../net/native.js';

export interface HostRoutesInput {
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly nodeName: string;
  readonly snapshot: Snapshot;
}

/** A route that the kernel refused. */
export interface RouteFailure {
  readonly route: RouteInfo;
  readonly reason: string;
}

export function describeRouteFailure({ route: { destination, gateway }, reason }: RouteFailure): string {
  return `the node's own route to ${destination} by ${gateway}: ${reason}`;
}

/**
 * Makes the node's routes to pods of other nodes what the snapshot says. A route by a gateway to addresses inside the
 * cluster's pod CIDRs is ours; any other is left alone. One that fails does not keep the others from being written.
 */
export function reconcileHostRoutes(input: HostRoutesInput): RouteFailure[] {
  const { node, uplink } = input;
  const failures: RouteFailure[] = [];
  const attempt = (route: RouteInfo, change: () => void): void => {
    try {
      change();
    } catch (error) {
      failures.push({ route, reason: (error as Error).message });
    }
  };
  const want = new Map(wantedRoutes(input).map((route) => [route.destination, route]));
  for (const route of ownRoutes(input)) {
    const wanted = want.get(parseCidr(route.destination));
    if (wanted === undefined) attempt(route, () => node.deleteRoute(route));
    else if (wanted.gateway === route.gateway && route.ifindex === uplink.ifindex) want.delete(wanted.destination);
  }
  for (const route of want.values()) attempt(route, () => node.replaceRoute(route));
  return failures;
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
