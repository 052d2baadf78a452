// What a PodPool must satisfy beside the ClusterNetwork and the other pools.
import { contains, FAMILIES, familyOf } from './address.js';
import { CidrSet } from './cidr-set.js';
import type { Fault } from './fault.js';
import type { ClusterNetwork } from './network.js';
import type { PodPool } from './pod-pool.js';

/** Accepts pools one after the other; CIDRs of an accepted one are taken. */
export class PodPoolCheck {
  readonly #network: ClusterNetwork | undefined;
  readonly #cidrs = new CidrSet();

  constructor(network: ClusterNetwork | undefined) {
    this.#network = network;
  }

  /** Why the pool is refused, or undefined. */
  accept(pool: PodPool): Fault | undefined {
    const fault = this.#networkFault(pool) ?? this.#overlap(pool);
    if (fault !== undefined) return fault;
    for (const cidr of pool.cidrs) this.#cidrs.add(cidr, pool.name);
    return undefined;
  }

  /** What is no pod CIDR of the cluster is outside for every node. */
  #networkFault({ cidrs }: PodPool): Fault | undefined {
    if (this.#network === undefined) return undefined;
    const podCIDRs = FAMILIES.flatMap((family) => this.#network?.families[family]?.podCIDRs ?? []);
    const stray = cidrs.find((cidr) => !podCIDRs.some((outer) => contains(outer, cidr)));
    if (stray === undefined) return undefined;
    const all = podCIDRs.filter((cidr) => familyOf(cidr) === familyOf(stray)).join(', ') || 'none of that family';
    return { code: 'CIDROutsideNetwork', reason: `its CIDR ${stray} lies outside the ClusterNetwork's ${all}` };
  }

  #overlap({ cidrs }: PodPool): Fault | undefined {
    for (const cidr of cidrs) {
      const other = this.#cidrs.find(cidr);
      if (other !== undefined) {
        return { code: 'OverlappingCIDR', reason: `its CIDR ${cidr} overlaps ${other.cidr} of PodPool ${other.owner}` };
      }
    }
    return undefined;
  }
}
