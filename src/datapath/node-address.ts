// Which of a node's addresses stands for it.
import { type Family, familyOf, type IpAddress } from '../model/address.js';
import type { Node } from '../model/node.js';

/** What an address field holds when there is none, in both families. */
export const UNSPECIFIED: IpAddress = '::';

/** The first address of a family: next hop of the node's pods, and what they are translated to. */
export function firstAddress(node: Node, family: Family): IpAddress {
  return node.addresses.find((address) => familyOf(address) === family) ?? UNSPECIFIED;
}
