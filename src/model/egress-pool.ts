// EgressPool: further translation addresses of a node.
import { type Family, familyOf, type IpAddress } from './address.js';
import { type Node, type NodeSelection, selects } from './node.js';

/** An address leads to one node, so that only one may have all labels of a pool. */
export interface EgressPool extends NodeSelection {
  readonly name: string;
  /** RFC 3339: since when there is the object; absent where nobody says it. */
  readonly created?: string;
  /** Need not be contiguous (RFC 6888 REQ-3). */
  readonly addresses: readonly IpAddress[];
  /** Whether pods leave by the node's own address of these families, too. */
  readonly nodeAddress: 'Included' | 'Excluded';
}

/** Addresses of a node's pools. */
export function poolAddresses(pools: Iterable<EgressPool>, node: Node): IpAddress[] {
  return [...pools].filter((pool) => selects(pool, node)).flatMap(({ addresses }) => addresses);
}

/** What pods of a node may be translated to, of one family, the node's own address first. */
export function translationAddresses(pools: Iterable<EgressPool>, node: Node, family: Family): IpAddress[] {
  const ofFamily = (addresses: readonly IpAddress[]) => addresses.filter((address) => familyOf(address) === family);
  const selected = [...pools].filter((pool) => selects(pool, node) && ofFamily(pool.addresses).length > 0);
  const own = selected.some(({ nodeAddress }) => nodeAddress === 'Excluded')
    ? []
    : ofFamily(node.addresses).slice(0, 1);
  return [...own, ...selected.flatMap(({ addresses }) => ofFamily(addresses))];
}
