// EgressPool (isthmus.dev/v1alpha1) to the model. Our own kind: a field that is not known is refused.
import { z } from 'zod';
import { addressAt, type Cidr, cidrSize, type IpAddress, parseAddress, parseCidr } from '../model/address.js';
import type { EgressPool } from '../model/egress-pool.js';
import { addresses, creationTimestamp, validate } from './schema.js';

/** A node adds each of them to its uplink. */
const ADDRESSES_MAX = 256;

export const schema = z.looseObject({
  metadata: z.looseObject({ name: z.string().min(1), creationTimestamp }),
  spec: z.strictObject({
    addresses: z
      .array(addresses<readonly IpAddress[]>(parseAddresses))
      .min(1)
      .meta({
        description: 'Addresses and CIDRs that pods are translated to; 256 addresses at most.',
        maxItems: ADDRESSES_MAX,
      })
      .transform((lists) => [...new Set(lists.flat())])
      .refine((list) => list.length <= ADDRESSES_MAX, { error: `more than ${ADDRESSES_MAX} addresses` }),
    nodeSelector: z
      .strictObject({
        matchLabels: z.record(z.string(), z.string()).meta({ description: 'Labels that the node has.' }),
      })
      .meta({ description: 'The node that has the addresses, for an address leads to one node.' }),
    nodeAddress: z
      .enum(['Included', 'Excluded'])
      .default('Included')
      .meta({ description: "Whether the node's own address is translated to as well." }),
  }),
});

/** Throws ConvertError. */
export function convertEgressPool(object: unknown): EgressPool {
  const { metadata, spec } = validate(schema, object);
  return {
    name: metadata.name,
    addresses: spec.addresses,
    nodeLabels: spec.nodeSelector.matchLabels,
    nodeAddress: spec.nodeAddress,
    ...(metadata.creationTimestamp && { created: metadata.creationTimestamp }),
  };
}

/** An address, or every address of a CIDR. Throws AddressError. */
function parseAddresses(text: string): IpAddress[] {
  if (!text.includes('/')) return [parseAddress(text)];
  return expand(parseCidr(text));
}

/** One more than may be, so that whoever counts them sees that there are too many. */
function expand(cidr: Cidr): IpAddress[] {
  const size = cidrSize(cidr);
  const length = Number(size > ADDRESSES_MAX ? ADDRESSES_MAX + 1 : size);
  return Array.from({ length }, (_, index) => addressAt(cidr, BigInt(index))).filter(
    (address) => address !== undefined,
  );
}
