// PodPool: pod addresses for nodes that have none of their own, in blocks that stay with their node.
import { addressAt, type Cidr, cidrBytes, contains, FAMILIES, type Family, familyOf } from './address.js';
import { CidrSet } from './cidr-set.js';
import type { Fault } from './fault.js';
import { type Node, type NodeSelection, selects } from './node.js';
import { inNameOrder } from './order.js';

/** Of a list of nodes in a sentence. */
const NODES_NAMED = 5;

/** What a node has of a pool. */
export interface Assignment {
  readonly node: string;
  readonly cidrs: readonly Cidr[];
}

/** Its blocks are for the nodes that it selects. */
export interface PodPool extends NodeSelection {
  readonly name: string;
  /** RFC 3339: since when there is the object; absent where nobody says it. */
  readonly created?: string;
  /** Need not be contiguous, nor of one family. */
  readonly cidrs: readonly Cidr[];
  /** Prefix length of the block that a node gets. */
  readonly blockLengths: Readonly<Record<Family, number>>;
  /** In the order in which they were made; a node that is away keeps its own while others find free ones. */
  readonly assignments: readonly Assignment[];
}

/** The nodes with their blocks behind what they have of their own: to everything else both are pod CIDRs. */
export function withBlocks(
  nodes: ReadonlyMap<string, Node>,
  pools: ReadonlyMap<string, PodPool>,
): ReadonlyMap<string, Node> {
  const blocks = blocksByNode(pools.values());
  if (blocks.size === 0) return nodes;
  return new Map(
    [...nodes].map(([name, node]) => {
      const own = blocks.get(name);
      return [name, own === undefined ? node : { ...node, podCIDRs: [...new Set([...node.podCIDRs, ...own])] }];
    }),
  );
}

/** What a pool's assignments should be. */
export interface Assigned {
  /** The same array when nothing is to be changed. */
  readonly assignments: readonly Assignment[];
  /** Nodes that a block of some family was not left for. */
  readonly unserved: readonly string[];
}

export interface AssignInput {
  /** Of a checked snapshot, so with their blocks. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pools: ReadonlyMap<string, PodPool>;
  /** Nodes that are there, though they were refused for the time being. */
  readonly refused: ReadonlySet<string>;
}

/**
 * Gives a block of each family that the pool has to every node that it selects and that has no pod CIDR of that family
 * yet. What a node has stays; the block of a node that is gone is given to another one when no other is left.
 */
export function assignBlocks(pool: PodPool, input: AssignInput): Assigned {
  const { nodes } = input;
  const ledger = new Ledger(pool, input);
  const wanting = inNameOrder(nodes).flatMap(([name, node]) =>
    !selects(pool, node)
      ? []
      : FAMILIES.filter((family) => lacks(pool, node, family)).map((family) => ({ name, family })),
  );
  const unserved = wanting.filter(({ name, family }) => !ledger.give(name, family)).map(({ name }) => name);
  return { assignments: ledger.changed ? ledger.list() : pool.assignments, unserved: [...new Set(unserved)] };
}

/** Pools that have no block for a node which asks for one. */
export function listShortages({ pools, ...rest }: AssignInput): readonly (readonly [pool: string, Fault])[] {
  return [...pools].flatMap(([name, pool]) => {
    const { unserved } = assignBlocks(pool, { pools, ...rest });
    if (unserved.length === 0) return [];
    const reason = `it has no block left for ${unserved.length} nodes (${unserved.slice(0, NODES_NAMED).join(', ')})`;
    return [[name, { code: 'Exhausted', reason }] as const];
  });
}

/** Who has which blocks of a pool while more of them are given. */
class Ledger {
  changed = false;
  readonly #pool: PodPool;
  readonly #isGone: (node: string) => boolean;
  readonly #blocks: Map<string, readonly Cidr[]>;
  readonly #taken = new CidrSet();

  constructor(pool: PodPool, { nodes, pools, refused }: AssignInput) {
    this.#pool = pool;
    this.#isGone = (node) => !nodes.has(node) && !refused.has(node);
    this.#blocks = new Map(pool.assignments.map(({ node, cidrs }) => [node, cidrs]));
    for (const [name, cidrs] of blocksByNode(pools.values())) for (const cidr of cidrs) this.#taken.add(cidr, name);
    for (const { name, podCIDRs } of nodes.values()) for (const cidr of podCIDRs) this.#taken.add(cidr, name);
  }

  /** Whether there was a block. */
  give(node: string, family: Family): boolean {
    const block = this.#free(family) ?? this.#reclaim(family);
    if (block === undefined) return false;
    this.#taken.add(block, node);
    this.#blocks.set(node, [...(this.#blocks.get(node) ?? []), block]);
    this.changed = true;
    return true;
  }

  list(): Assignment[] {
    return [...this.#blocks].flatMap(([node, cidrs]) => (cidrs.length === 0 ? [] : { node, cidrs }));
  }

  #free(family: Family): Cidr | undefined {
    for (const cidr of this.#pool.cidrs) {
      if (familyOf(cidr) !== family) continue;
      for (const block of blocksOf(cidr, this.#pool.blockLengths[family])) {
        if (this.#taken.find(block) === undefined) return block;
      }
    }
    return undefined;
  }

  /** The oldest block of a node that is gone. */
  #reclaim(family: Family): Cidr | undefined {
    const length = this.#pool.blockLengths[family];
    for (const [node, cidrs] of this.#blocks) {
      if (!this.#isGone(node)) continue;
      const block = cidrs.find(
        (cidr) =>
          familyOf(cidr) === family &&
          cidr.endsWith(`/${length}`) &&
          this.#pool.cidrs.some((outer) => contains(outer, cidr)),
      );
      if (block === undefined) continue;
      this.#blocks.set(
        node,
        cidrs.filter((cidr) => cidr !== block),
      );
      return block;
    }
    return undefined;
  }
}

/** Whether a pool has a family that a node has no pod CIDR of, neither its own nor of whatever pool. */
function lacks({ cidrs }: PodPool, { podCIDRs }: Node, family: Family): boolean {
  const isOfFamily = (cidr: Cidr): boolean => familyOf(cidr) === family;
  return cidrs.some(isOfFamily) && !podCIDRs.some(isOfFamily);
}

function blocksByNode(pools: Iterable<PodPool>): Map<string, Cidr[]> {
  const blocks = new Map<string, Cidr[]>();
  for (const { assignments } of pools) {
    for (const { node, cidrs } of assignments) blocks.set(node, [...(blocks.get(node) ?? []), ...cidrs]);
  }
  return blocks;
}

/** The blocks of a CIDR in order; none when it is smaller than one. */
function* blocksOf(cidr: Cidr, length: number): Generator<Cidr> {
  const bits = familyOf(cidr) === 'ipv4' ? 32 : 128;
  const own = cidrBytes(cidr).length - (128 - bits);
  if (length < own) return;
  for (let index = 0n; index < 1n << BigInt(length - own); index++) {
    const address = addressAt(cidr, index << BigInt(bits - length));
    if (address !== undefined) yield `${address}/${length}`;
  }
}
