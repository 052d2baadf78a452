// A pod as an owner of port blocks.
import { type Family, familyOf } from '../model/address.js';
import type { Endpoint, PortBlocks } from '../model/endpoint.js';

/** A pod without what does not matter to its blocks. */
export type Tenant = Pick<Endpoint, 'containerID' | 'interfaceName' | 'namespace' | 'addresses' | 'nat'>;

/** What a pod has in a family. */
export function bindingOf({ nat }: Pick<Tenant, 'nat'>, family: Family): PortBlocks | undefined {
  return nat.find(({ address }) => familyOf(address) === family);
}
