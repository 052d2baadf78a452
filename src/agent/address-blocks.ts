// Port blocks of one translation address: which are free, and have rested since their last owner. Pure but for take().
import type { IpAddress } from '../model/address.js';
import { type BlockGrant, type BlockPorts, isOf, outsideOf, overlap } from '../model/block-grant.js';
import type { ClusterNetwork } from '../model/network.js';
import { countBlocks, isUsable, portsOf } from '../model/port-blocks.js';
import { ExhaustedError } from './exhausted.js';
import type { ReleasedPorts } from './journal.js';
import type { Tenant } from './tenant.js';

export interface AddressBlocksInput {
  readonly network: ClusterNetwork;
  readonly nodeName: string;
  readonly address: IpAddress;
  readonly tenants: readonly Tenant[];
  /** Numbers in the order in which they are given, without the node's. */
  readonly order: readonly number[];
  /** What the journal knows an owner of, and what it knows no owner of any more. */
  readonly granted: readonly Pick<BlockGrant, 'ports' | 'addresses'>[];
  readonly released: readonly ReleasedPorts[];
}

interface Resting {
  readonly block: number;
  readonly seconds: number;
}

export class AddressBlocks {
  readonly address: IpAddress;
  readonly #ready: number[];
  readonly #resting: readonly Resting[];

  constructor(input: AddressBlocksInput) {
    this.address = input.address;
    const released = stillResting(input);
    const waits = freeBlocks(input).map((block) => ({ block, seconds: secondsToWait({ ...input, released }, block) }));
    this.#ready = waits.filter(({ seconds }) => seconds <= 0).map(({ block }) => block);
    this.#resting = waits.filter(({ seconds }) => seconds > 0);
  }

  /** Blocks that may be given now. */
  get ready(): number {
    return this.#ready.length;
  }

  /** And with those that rest. */
  get free(): number {
    return this.#ready.length + this.#resting.length;
  }

  /** The first in order; fewer, or none, when there are no more. */
  take(count: number): number[] {
    return this.#ready.splice(0, count);
  }

  /** Why none of these addresses has a block to give, and when one will. */
  static exhausted(
    all: readonly AddressBlocks[],
    { network, nodeName }: Pick<AddressBlocksInput, 'network' | 'nodeName'>,
  ): ExhaustedError {
    const { natPorts, blockSize, reuseHold } = network;
    const of = all.map(({ address }) => address).join(', ');
    const range = `the NAT ports ${natPorts.first}-${natPorts.last} of ${of} on node ${nodeName}`;
    const have = `${range} hold ${countBlocks(network)} blocks of ${blockSize}`;
    const resting = all.flatMap((one) => one.#resting);
    if (resting.length === 0) {
      const family = of.includes(':') ? 'IPv6' : 'IPv4';
      return new ExhaustedError(
        `no free port block: ${have}, and all have an owner; make blockSize smaller or the range larger, or add ` +
          `${family} addresses with an EgressPool`,
      );
    }
    const next = Math.ceil(Math.min(...resting.map(({ seconds }) => seconds)));
    return new ExhaustedError(
      `no port block is free yet: ${have}, and the ${resting.length} without an owner rest for ${reuseHold} s after ` +
        `their last one (spec.nat.reuseHold); the next becomes free in ${next} s`,
      next,
    );
  }
}

function freeBlocks({ network, address, tenants, order, granted }: AddressBlocksInput): number[] {
  const taken = new Set(
    tenants.flatMap(({ nat }) => nat.filter((one) => one.address === address).flatMap(({ blocks }) => blocks)),
  );
  const owned = granted.filter((grant) => outsideOf(grant).includes(address)).map(({ ports }) => ports);
  return order.filter((block) => {
    if (taken.has(block) || !isUsable(network, block)) return false;
    const ports = portsOf(network, block);
    return !owned.some((other) => overlap(ports, other));
  });
}

/** Few of those that the journal remembers, and every block is looked up among them. */
function stillResting({ network, address, released }: AddressBlocksInput): ReleasedPorts[] {
  return released.filter((release) => release.secondsAgo < network.reuseHold && isOf(release, address));
}

/** Ports count, not numbers: the size of blocks may have been another one. */
function secondsToWait({ network, released }: AddressBlocksInput, block: number): number {
  const ports: BlockPorts = portsOf(network, block);
  return released.reduce((longest, release) => {
    return overlap(ports, release.ports) ? Math.max(longest, network.reuseHold - release.secondsAgo) : longest;
  }, 0);
}
