// CIDRs that do not overlap, each with an owner; finds who already has a part of another one.
import { type Cidr, cidrBytes, type IpAddress } from './address.js';

interface Range {
  readonly first: bigint;
  readonly last: bigint;
  readonly cidr: Cidr;
  readonly owner: string;
}

/** Sorted by first address, so that a lookup is a binary search: thousands of objects are checked at once. */
export class CidrSet {
  readonly #ranges: Range[] = [];

  /** Adds a CIDR, unless a part of it is taken: then returns who has it. A plain address counts as a CIDR of one. */
  add(cidr: Cidr | IpAddress, owner: string): { cidr: Cidr; owner: string } | undefined {
    const range = toRange(cidr, owner);
    const taken = this.#find(range);
    if (taken === undefined) this.#ranges.splice(this.#firstAbove(range.first), 0, range);
    return taken;
  }

  /** Who has a part of this CIDR or this address. */
  find(cidr: Cidr | IpAddress): { cidr: Cidr; owner: string } | undefined {
    return this.#find(toRange(cidr, ''));
  }

  #find(range: Range): Range | undefined {
    const above = this.#firstAbove(range.first);
    const [below, next] = [this.#ranges[above - 1], this.#ranges[above]];
    if (below !== undefined && below.last >= range.first) return below;
    return next !== undefined && next.first <= range.last ? next : undefined;
  }

  /** Index of the first range that begins above an address. */
  #firstAbove(address: bigint): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.first ?? 0n) > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function toRange(cidr: Cidr | IpAddress, owner: string): Range {
  const { bytes, length } = cidrBytes(cidr.includes('/') ? cidr : `${cidr}/${cidr.includes(':') ? 128 : 32}`);
  const first = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { first, last: first + (1n << BigInt(128 - length)) - 1n, cidr, owner };
}
