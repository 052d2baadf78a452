// The ports of an endpoint, as its map entry says them: the one place in tests that knows how.
import type { Endpoint } from '../../src/datapath/types.gen.js';

export interface Block {
  readonly first: number;
  readonly count: number;
}

/** The blocks that an endpoint owns, of its translation address. */
export function blocksOf({ port_first, port_count }: Endpoint): Block[] {
  return port_count === 0 ? [] : [{ first: port_first, count: port_count }];
}

/** The same endpoint with no more than so many ports of its first block. */
export function withPorts(endpoint: Endpoint, count: number): Endpoint {
  return { ...endpoint, port_count: Math.min(endpoint.port_count, count) };
}

export function isInBlocks(blocks: readonly Block[], port: number): boolean {
  return blocks.some(({ first, count }) => port >= first && port < first + count);
}

export function portsOf(blocks: readonly Block[]): number[] {
  return blocks.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index));
}
