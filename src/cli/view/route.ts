// A route as people see it: a CIDR instead of a 128-bit prefix length, and what the type means.
import type { Cidr, IpAddress } from '../../model/address.js';
import { type EnumValue, enumName } from './flags.js';

/** struct route_key, as decoded. */
export interface RouteKey {
  /** 0..128; an IPv4 /24 is 120. */
  readonly prefix_length: number;
  readonly prefix: IpAddress;
}

/** struct route, as decoded. */
export interface RouteValue {
  readonly type: number | string;
  readonly next_hop: IpAddress;
}

/** An item of RouteList. */
export interface RouteItem {
  readonly prefix: Cidr;
  /** `node`, `native` or `unreachable`. */
  readonly type: string;
  /** Of a node's own address, the one that it sends from; absent where the host's routing table decides. */
  readonly nextHop?: IpAddress;
  readonly meaning: string;
}

const MEANINGS: Readonly<Record<string, string>> = {
  node: 'pods of another node',
  native: "never translated; the host's routing table decides",
  unreachable: 'inside the cluster, but of no pod here and of no other node',
};

export function viewRoute(key: RouteKey, value: RouteValue, types: readonly EnumValue[]): RouteItem {
  const type = enumName(value.type, types, 'ROUTE_');
  return {
    prefix: cidrOf(key),
    type,
    ...(value.next_hop === '::' || value.next_hop === '0.0.0.0' ? {} : { nextHop: value.next_hop }),
    meaning: MEANINGS[type] ?? 'a route type that this version of isthmus does not know',
  };
}

/** IPv4 prefixes lie below ::ffff:0:0/96, so their length is counted from there. */
function cidrOf({ prefix, prefix_length }: RouteKey): Cidr {
  const mapped = !prefix.includes(':') && prefix_length >= 96;
  return `${prefix}/${mapped ? prefix_length - 96 : prefix_length}`;
}
