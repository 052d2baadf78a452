// Numbers of port blocks: which ports a number stands for, and which of them pods may have. Pure.
import type { BlockPorts } from './block-grant.js';
import type { ClusterNetwork, PortRange } from './network.js';

/** What the numbers depend on. */
export type BlockGrid = Pick<ClusterNetwork, 'natPorts' | 'blockSize'>;

/** The node's own block of each of its addresses; no pod gets this number. */
export const NODE_BLOCK = 0;

/** Whole blocks in the NAT ports, the node's own included. */
export function countBlocks({ natPorts, blockSize }: BlockGrid): number {
  return Math.floor((natPorts.last - natPorts.first + 1) / blockSize);
}

export function portsOf({ natPorts, blockSize }: BlockGrid, block: number): BlockPorts {
  return { first: natPorts.first + block * blockSize, count: blockSize };
}

/** Whether all ports of a block are NAT ports, and none is reserved. */
export function isUsable(
  network: BlockGrid & { readonly reservedPorts: readonly PortRange[] },
  block: number,
): boolean {
  if (block < 0 || block >= countBlocks(network)) return false;
  const { first, count } = portsOf(network, block);
  return !network.reservedPorts.some((range) => range.first < first + count && first <= range.last);
}
