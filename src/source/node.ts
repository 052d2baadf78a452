// Node (v1) to the model.
import { z } from 'zod';
import { parseAddress } from '../model/address.js';
import { type Node, STARTUP_TAINT } from '../model/node.js';
import { cidr, creationTimestamp, validate } from './schema.js';

/** Other address types may hold names. */
const statusAddress = z
  .looseObject({ type: z.string(), address: z.string() })
  .refine(({ type, address }) => type !== 'InternalIP' || isAddress(address), {
    path: ['address'],
    error: (issue) => `not an IP address: '${(issue.input as { address: string }).address}'`,
  });

const ZONE = 'topology.kubernetes.io/zone';
/** Set by the cluster autoscaler before it deletes a node. */
const TO_BE_DELETED = 'ToBeDeletedByClusterAutoscaler';

const schema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    labels: z.record(z.string(), z.string()).nullish(),
    creationTimestamp,
    deletionTimestamp: z.string().nullish(),
  }),
  spec: z
    .looseObject({
      podCIDR: cidr.optional(),
      podCIDRs: z.array(cidr).optional(),
      taints: z.array(z.looseObject({ key: z.string() })).nullish(),
    })
    .prefault({}),
  status: z.looseObject({ addresses: z.array(statusAddress).default([]) }).prefault({}),
});

/** A node that has no address or no pod CIDR yet is a node all the same. Throws ConvertError. */
export function convertNode(object: unknown): Node {
  const { metadata, spec, status } = validate(schema, object);
  const zone = metadata.labels?.[ZONE];
  const internal = status.addresses.filter(({ type }) => type === 'InternalIP');
  return {
    name: metadata.name,
    addresses: [...new Set(internal.map(({ address }) => parseAddress(address)))],
    podCIDRs: [...new Set(spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR]))],
    ...(metadata.labels == null ? {} : { labels: metadata.labels }),
    ...(zone && { zone }),
    ...(metadata.creationTimestamp && { created: metadata.creationTimestamp }),
    ...(isLeaving(metadata, spec) && { leaving: true as const }),
    ...(hasTaint(spec, STARTUP_TAINT) && { awaitsAgent: true as const }),
  };
}

type Manifest = z.infer<typeof schema>;

function isLeaving({ deletionTimestamp }: Manifest['metadata'], spec: Manifest['spec']): boolean {
  return Boolean(deletionTimestamp) || hasTaint(spec, TO_BE_DELETED);
}

function hasTaint({ taints }: Manifest['spec'], wanted: string): boolean {
  return (taints ?? []).some(({ key }) => key === wanted);
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch {
    return false;
  }
}
