// Which port block a new pod gets: the first in order that is free and has rested since its last owner. Pure.
import { type BlockPorts, overlap } from '../model/block-grant.js';
import { type ClusterNetwork, countBlocks } from '../model/network.js';
import { ExhaustedError } from './exhausted.js';

export interface PortBlockInput {
  readonly network: ClusterNetwork;
  readonly nodeName: string;
  /** Numbers that pods have, whether or not they use them yet. */
  readonly taken: ReadonlySet<number>;
  /** All blocks but the node's, in the order in which they are given. */
  readonly order: readonly number[];
  /** Ports that the journal knows an owner of. */
  readonly granted: readonly BlockPorts[];
  readonly released: readonly { readonly ports: BlockPorts; readonly secondsAgo: number }[];
}

/** Throws ExhaustedError, which says when a block becomes free. */
export function allocateBlock(input: PortBlockInput): number {
  const { network, taken, order, granted } = input;
  const free = order.filter((block) => {
    const ports = portsOf(network, block);
    return !taken.has(block) && !granted.some((other) => overlap(ports, other));
  });
  const waits = free.map((block) => secondsToWait(portsOf(network, block), input));
  const rested = waits.findIndex((seconds) => seconds <= 0);
  const block = free[rested];
  if (block !== undefined) return block;
  throw exhausted(input, waits);
}

/** Ports count, not numbers: the size of blocks may have been another one. */
function secondsToWait(ports: BlockPorts, { network, released }: PortBlockInput): number {
  return released.reduce((longest, release) => {
    return overlap(ports, release.ports) ? Math.max(longest, network.reuseHold - release.secondsAgo) : longest;
  }, 0);
}

function portsOf({ natPorts, blockSize }: ClusterNetwork, block: number): BlockPorts {
  return { first: natPorts.first + block * blockSize, count: blockSize };
}

function exhausted({ network, nodeName }: PortBlockInput, waits: readonly number[]): ExhaustedError {
  const { natPorts, blockSize, reuseHold } = network;
  const range = `the NAT ports ${natPorts.first}-${natPorts.last} of node ${nodeName}`;
  const have = `${range} hold ${countBlocks(network)} blocks of ${blockSize}`;
  if (waits.length === 0) {
    return new ExhaustedError(
      `no free port block: ${have}, and all have an owner; make blockSize smaller or the range larger`,
    );
  }
  const next = Math.ceil(Math.min(...waits));
  return new ExhaustedError(
    `no port block is free yet: ${have}, and the ${waits.length} without an owner rest for ${reuseHold} s after their ` +
      `last one (spec.nat.reuseHold); the next becomes free in ${next} s`,
    next,
  );
}
