// Which port blocks pods of this node have, get and may still get: addresses, quotas, and what is left for others. Pure.
import { type Family, familyOf, type IpAddress } from '../model/address.js';
import type { PortBlocks } from '../model/endpoint.js';
import { isUsable } from '../model/port-blocks.js';
import { AddressBlocks, type AddressBlocksInput } from './address-blocks.js';
import { ExhaustedError } from './exhausted.js';
import { bindingOf, type Tenant } from './tenant.js';

export interface BlockPlanInput extends Omit<AddressBlocksInput, 'address'> {
  /** Translation addresses of the node, the default first. */
  readonly addresses: readonly IpAddress[];
}

/** Who might get another block, and who only has to wait until one has rested. */
export interface Growable {
  /** Inside addresses of pods that may. */
  readonly addresses: ReadonlySet<IpAddress>;
  /** Until more of them may; undefined: not by waiting. */
  readonly secondsToWait: number | undefined;
}

export class BlockPlan {
  readonly #input: BlockPlanInput;
  readonly #tenants = new Map<string, Tenant>();
  readonly #blocks: readonly AddressBlocks[];

  constructor(input: BlockPlanInput) {
    this.#input = input;
    for (const tenant of input.tenants) this.#tenants.set(nameOf(tenant), tenant);
    this.#blocks = input.addresses.map((address) => new AddressBlocks({ ...input, address }));
  }

  /** First blocks for one more pod, in every family that it and the node have. Throws ExhaustedError. */
  place(tenant: Tenant): PortBlocks[] {
    const nat = this.#familiesOf(tenant).map((family) => this.#bind(tenant, family));
    this.#tenants.set(nameOf(tenant), { ...tenant, nat });
    return nat;
  }

  /**
   * What a pod keeps when addresses or ports are not what they were, with new ones for what it lost; undefined when it
   * lost nothing. A family that nothing is left for has none, until there is: `onRefused` is told why.
   */
  repair(tenant: Tenant, onRefused: (error: ExhaustedError) => void): PortBlocks[] | undefined {
    const nat = this.#familiesOf(tenant).flatMap((family) => {
      const kept = this.#kept(tenant, family);
      return kept ?? this.#bindOr(tenant, family, onRefused) ?? [];
    });
    if (JSON.stringify(nat) === JSON.stringify(tenant.nat)) return undefined;
    this.#tenants.set(nameOf(tenant), { ...tenant, nat });
    return nat;
  }

  /** One more block of the address that the pod has. Throws ExhaustedError: the quotas, or no block that has rested. */
  grow(id: Pick<Tenant, 'containerID' | 'interfaceName'>, family: Family): PortBlocks[] {
    const tenant = this.#tenants.get(nameOf(id));
    const before = tenant && bindingOf(tenant, family);
    if (tenant === undefined || before === undefined)
      throw new ExhaustedError('the pod owns no block that another could join');
    const refusal = this.#refusal(tenant, family);
    if (refusal !== undefined) throw refusal;
    const [block] = this.#of(before.address)?.take(1) ?? [];
    if (block === undefined) throw new ExhaustedError(`no block of ${before.address} is free`);
    const nat = tenant.nat.map((one) => (one === before ? { ...one, blocks: [...one.blocks, block] } : one));
    this.#tenants.set(nameOf(tenant), { ...tenant, nat });
    return nat;
  }

  /** Why a pod gets no further block now; undefined when it does. */
  whyNot(tenant: Tenant, family: Family): string | undefined {
    return this.#refusal(tenant, family)?.message;
  }

  growable(): Growable {
    const addresses = new Set<IpAddress>();
    const waits: number[] = [];
    for (const tenant of this.#tenants.values()) {
      for (const inside of tenant.addresses) {
        const refusal = this.#refusal(tenant, familyOf(inside));
        if (refusal === undefined) addresses.add(inside);
        else if (refusal.retrySeconds !== undefined) waits.push(refusal.retrySeconds);
      }
    }
    return { addresses, secondsToWait: waits.length === 0 ? undefined : Math.min(...waits) };
  }

  #familiesOf({ addresses }: Tenant): Family[] {
    const { network } = this.#input;
    const families = [...new Set(addresses.map(familyOf))];
    return families.filter((family) => network.families[family] !== undefined && this.#ofFamily(family).length > 0);
  }

  #ofFamily(family: Family): AddressBlocks[] {
    return this.#blocks.filter(({ address }) => familyOf(address) === family);
  }

  #of(address: IpAddress): AddressBlocks | undefined {
    return this.#blocks.find((one) => one.address === address);
  }

  /** What of a pod's binding is still good; undefined when nothing is. */
  #kept(tenant: Tenant, family: Family): PortBlocks | undefined {
    const binding = bindingOf(tenant, family);
    if (binding === undefined || this.#of(binding.address) === undefined) return undefined;
    const blocks = binding.blocks.filter((block) => isUsable(this.#input.network, block));
    return blocks.length === 0 ? undefined : { address: binding.address, blocks };
  }

  #bindOr(tenant: Tenant, family: Family, onRefused: (error: ExhaustedError) => void): PortBlocks | undefined {
    try {
      return this.#bind(tenant, family);
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      onRefused(error);
      return undefined;
    }
  }

  /** The address with the most free blocks, and as many of them as a pod gets at first; one at least. */
  #bind(tenant: Tenant, family: Family): PortBlocks {
    const { initial } = this.#input.network.blockQuotas;
    const room = this.#namespaceRoom(tenant, family);
    if (room < 1) throw this.#namespaceFull(tenant, family);
    const candidates = this.#ofFamily(family);
    const best = candidates.reduce((most, one) => (one.ready > most.ready ? one : most));
    const blocks = best.take(Math.min(initial, room));
    if (blocks.length === 0) throw AddressBlocks.exhausted(candidates, this.#input);
    return { address: best.address, blocks };
  }

  /** Why a pod gets no further block now; undefined when it does. */
  #refusal(tenant: Tenant, family: Family): ExhaustedError | undefined {
    const { maximum } = this.#input.network.blockQuotas;
    const binding = bindingOf(tenant, family);
    const of = binding && this.#of(binding.address);
    if (binding === undefined || of === undefined) return new ExhaustedError('it owns no block');
    if (binding.blocks.length >= maximum) {
      return new ExhaustedError(`it has its ${maximum} blocks (spec.nat.blocksPerPod.maximum)`);
    }
    if (this.#namespaceRoom(tenant, family) < 1) return this.#namespaceFull(tenant, family);
    if (!this.#hasSpare(family)) return new ExhaustedError(this.#spareText());
    return of.ready > 0 ? undefined : AddressBlocks.exhausted([of], this.#input);
  }

  #namespaceRoom({ namespace }: Tenant, family: Family): number {
    const { perNamespace, namespaces } = this.#input.network.blockQuotas;
    const quota = Object.hasOwn(namespaces, namespace) ? namespaces[namespace] : perNamespace;
    if (quota === undefined) return Infinity;
    const tenants = [...this.#tenants.values()].filter((tenant) => tenant.namespace === namespace);
    return quota - tenants.reduce((sum, tenant) => sum + (bindingOf(tenant, family)?.blocks.length ?? 0), 0);
  }

  #namespaceFull({ namespace }: Tenant, family: Family): ExhaustedError {
    return new ExhaustedError(
      `the pods of namespace '${namespace}' on node ${this.#input.nodeName} have all the ${family} port blocks that they ` +
        'may have (spec.nat.blocksPerNamespace)',
    );
  }

  /** Whether pods that are still to come would find their first blocks after one more was given. */
  #hasSpare(family: Family): boolean {
    return this.#ofFamily(family).reduce((sum, { free }) => sum + free, 0) > this.#keptForPods();
  }

  #keptForPods(): number {
    const { podsPerNode, initial } = this.#input.network.blockQuotas;
    return Math.max(0, podsPerNode - this.#tenants.size) * initial;
  }

  #spareText(): string {
    const { podsPerNode } = this.#input.network.blockQuotas;
    return `the blocks that are left are for the pods still to come (spec.nat.podsPerNode ${podsPerNode})`;
  }
}

function nameOf({ containerID, interfaceName }: Pick<Tenant, 'containerID' | 'interfaceName'>): string {
  return `${containerID}/${interfaceName}`;
}
