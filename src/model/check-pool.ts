// What an EgressPool must satisfy beside the nodes and the other pools.
import { insidePods } from './check-node.js';
import type { CidrSet } from './cidr-set.js';
import type { EgressPool } from './egress-pool.js';
import type { Fault } from './fault.js';
import { type Node, selects } from './node.js';

/** Accepts pools one after the other; addresses of an accepted one are taken. */
export class PoolCheck {
  readonly #inside: CidrSet;
  readonly #nodes: readonly Node[];
  readonly #addresses = new Map<string, string>();

  constructor(inside: CidrSet, nodes: readonly Node[]) {
    this.#inside = inside;
    this.#nodes = nodes;
    for (const node of nodes) for (const address of node.addresses) this.#addresses.set(address, `Node ${node.name}`);
  }

  /** Why the pool is refused, or undefined. */
  accept(pool: EgressPool): Fault | undefined {
    const fault = this.#nodeFault(pool) ?? this.#addressFault(pool);
    if (fault !== undefined) return fault;
    for (const address of pool.addresses) this.#addresses.set(address, `EgressPool ${pool.name}`);
    return undefined;
  }

  /** Answers find their flow at the node that translated: an address cannot lead to two of them. */
  #nodeFault(pool: EgressPool): Fault | undefined {
    const names = this.#nodes.filter((node) => selects(pool, node)).map(({ name }) => name);
    if (names.length < 2) return undefined;
    const which = `${names.length} nodes (${names.join(', ')})`;
    const reason = `its nodeSelector selects ${which}, and an address leads to one; make a pool for each`;
    return { code: 'SeveralNodes', reason };
  }

  #addressFault({ addresses }: EgressPool): Fault | undefined {
    for (const address of addresses) {
      const owner = this.#addresses.get(address);
      if (owner !== undefined) {
        return { code: 'DuplicateAddress', reason: `its address ${address} is also an address of ${owner}` };
      }
      const pods = this.#inside.find(address);
      if (pods !== undefined) return insidePods(address, pods.cidr);
    }
    return undefined;
  }
}
