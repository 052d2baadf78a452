// The ports of an endpoint, as its map entry says them: the one place in tests that knows how.
import type { Endpoint } from '../../src/datapath/types.gen.js';

export interface Block {
  readonly first: number;
  readonly count: number;
}

/** The blocks that an endpoint owns, of its translation address. */
export function blocksOf({ blocks, block_size, block_count }: Endpoint): Block[] {
  return blocks.slice(0, block_count).map((first) => ({ first, count: block_size }));
}

/** The same endpoint with no more than so many ports of its first block. */
export function withPorts(endpoint: Endpoint, count: number): Endpoint {
  return {
    ...endpoint,
    block_size: Math.min(endpoint.block_size, count),
    block_count: Math.min(endpoint.block_count, 1),
  };
}

export function isInBlocks(blocks: readonly Block[], port: number): boolean {
  return blocks.some(({ first, count }) => port >= first && port < first + count);
}

export function portsOf(blocks: readonly Block[]): number[] {
  return blocks.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index));
}
