// PodPool (isthmus.dev/v1alpha1) to the model. Our own kind: a field that is not known is refused.
import { z } from 'zod';
import { type Cidr, cidrBytes, familyOf } from '../model/address.js';
import type { PodPool } from '../model/pod-pool.js';
import { cidr, creationTimestamp, rules, validate } from './schema.js';

/** As many as the datapath has room for in a ClusterNetwork. */
const CIDRS_MAX = 16;
const DEFAULT_BLOCK = { ipv4: 26, ipv6: 64 } as const;

const blockSize = z
  .strictObject({
    ipv4: z.int().min(16).max(30).default(DEFAULT_BLOCK.ipv4).meta({ description: 'Prefix length of IPv4 blocks.' }),
    ipv6: z.int().min(48).max(126).default(DEFAULT_BLOCK.ipv6).meta({ description: 'Prefix length of IPv6 blocks.' }),
  })
  .prefault({});

/** In CEL, of one family. */
const roomIn = (family: 'ipv4' | 'ipv6'): string => {
  const given = `self.blockSize.${family}`;
  return `cidr(one).prefixLength() <= (has(self.blockSize) && has(${given}) ? ${given} : ${DEFAULT_BLOCK[family]})`;
};
const ROOM_RULE = `self.cidrs.all(one, !isCIDR(one) || (one.contains(':') ? ${roomIn('ipv6')} : ${roomIn('ipv4')}))`;

/** Written by an agent, one for all. */
const assignments = z.array(z.looseObject({ node: z.string().min(1), cidrs: z.array(cidr) })).nullish();

export const schema = z.looseObject({
  metadata: z.looseObject({ name: z.string().min(1), creationTimestamp }),
  spec: z
    .strictObject({
      cidrs: z.array(cidr).min(1).max(CIDRS_MAX).meta({
        description:
          'Where blocks are taken from, in this order; of one family or both, inside the pod CIDRs of the cluster.',
        maxItems: CIDRS_MAX,
      }),
      blockSize: blockSize.meta({ description: 'Prefix lengths of the block that a node gets.' }),
      nodeSelector: z
        .strictObject({
          matchLabels: z.record(z.string(), z.string()).meta({ description: 'Labels that the nodes have.' }),
        })
        .optional()
        .meta({ description: 'Which nodes get blocks, such as those of one zone; all when absent.' }),
    })
    .meta({ ...rules([ROOM_RULE, 'a CIDR has no room for a block']) })
    .superRefine(({ cidrs, blockSize }, context) => {
      for (const [index, one] of cidrs.entries()) {
        const length = blockSize[familyOf(one)];
        if (lengthOf(one) > length)
          context.addIssue({
            code: 'custom',
            path: ['cidrs', index],
            message: `${one} has no room for a block of /${length}`,
          });
      }
    }),
  status: z.looseObject({ assignments }).nullish(),
});

/** Throws ConvertError. */
export function convertPodPool(object: unknown): PodPool {
  const { metadata, spec, status } = validate(schema, object);
  return {
    name: metadata.name,
    ...(metadata.creationTimestamp && { created: metadata.creationTimestamp }),
    cidrs: [...new Set(spec.cidrs)],
    blockLengths: spec.blockSize,
    nodeLabels: spec.nodeSelector?.matchLabels ?? {},
    assignments: (status?.assignments ?? []).map(({ node, cidrs }) => ({ node, cidrs })),
  };
}

/** Prefix length as it is written. */
function lengthOf(one: Cidr): number {
  const { length } = cidrBytes(one);
  return familyOf(one) === 'ipv4' ? length - 96 : length;
}
