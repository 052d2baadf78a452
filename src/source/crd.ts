// The definitions of our own kinds for an API server, from the schemas that read them. Pure.
import { z } from 'zod';
import { schema as clusterNetwork } from './cluster-network.js';
import { schema as egressPool } from './egress-pool.js';
import { API_VERSIONS, type Kind } from './kinds.js';
import { schema as podPool } from './pod-pool.js';
import { rules } from './schema.js';

export interface Definition {
  readonly kind: Kind;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly columns: readonly Column[];
  /** Fields of its status beside what all kinds have there. */
  readonly status?: JsonSchema;
  /** Rules of the whole object, beyond those of its spec. */
  readonly rules?: ReturnType<typeof rules>;
}

/** What `kubectl get` prints; those of priority 1 with `-o wide` only. */
interface Column {
  readonly name: string;
  readonly type: 'string' | 'date' | 'integer';
  readonly jsonPath: string;
  readonly priority?: 1;
  readonly description?: string;
}

/** A JSON Schema as zod writes it, and as a definition holds it. */
interface JsonSchema {
  readonly [key: string]: unknown;
}

const ACCEPTED = '.status.conditions[?(@.type=="Accepted")]';
const COLUMNS: readonly Column[] = [
  { name: 'Accepted', type: 'string', jsonPath: `${ACCEPTED}.status`, description: 'Whether nodes use it' },
  { name: 'Reason', type: 'string', jsonPath: `${ACCEPTED}.reason`, priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

export const DEFINITIONS: readonly Definition[] = [
  {
    kind: 'ClusterNetwork',
    plural: 'clusternetworks',
    shortName: 'cnet',
    description: "How the cluster's pods are addressed and translated. There is one, named default.",
    spec: clusterNetwork.shape.spec,
    columns: [
      { name: 'Cluster', type: 'string', jsonPath: '.spec.clusterID' },
      { name: 'IPv4', type: 'string', jsonPath: '.spec.ipv4.mode' },
      { name: 'IPv6', type: 'string', jsonPath: '.spec.ipv6.mode' },
      { name: 'Pod CIDRs', type: 'string', jsonPath: '.spec.ipv4.podCIDRs', priority: 1 },
      ...COLUMNS,
    ],
    rules: rules(["self.metadata.name == 'default'", "only the ClusterNetwork named 'default' is used"]),
  },
  {
    kind: 'PodPool',
    plural: 'podpools',
    shortName: 'ppool',
    description: 'Pod addresses for nodes that have no pod CIDR of their own, in blocks that stay with their node.',
    spec: podPool.shape.spec,
    status: {
      nodes: { type: 'integer', description: 'That have blocks.' },
      assignments: {
        type: 'array',
        description: 'Blocks by node, the oldest first. Those of a node that is gone are kept until no other is left.',
        items: {
          type: 'object',
          required: ['node', 'cidrs'],
          properties: { node: { type: 'string' }, cidrs: { type: 'array', items: { type: 'string' } } },
        },
      },
    },
    columns: [
      { name: 'CIDRs', type: 'string', jsonPath: '.spec.cidrs' },
      { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes', description: 'That have blocks' },
      { name: 'Selector', type: 'string', jsonPath: '.spec.nodeSelector.matchLabels', priority: 1 },
      ...COLUMNS,
    ],
  },
  {
    kind: 'EgressPool',
    plural: 'egresspools',
    shortName: 'epool',
    description: 'Addresses beside those of a node that its pods are translated to.',
    spec: egressPool.shape.spec,
    columns: [
      { name: 'Addresses', type: 'string', jsonPath: '.spec.addresses' },
      { name: 'Node address', type: 'string', jsonPath: '.spec.nodeAddress' },
      { name: 'Nodes', type: 'string', jsonPath: '.spec.nodeSelector.matchLabels', priority: 1 },
      ...COLUMNS,
    ],
  },
];

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of a kind. */
export function describeKind({
  kind,
  plural,
  shortName,
  description,
  spec,
  status,
  columns,
  rules,
}: Definition): object {
  const [group = '', version = ''] = API_VERSIONS[kind].split('/');
  const openAPIV3Schema = {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structural(z.toJSONSchema(spec, { target: 'openapi-3.0', io: 'input' })),
      status: { type: 'object', properties: { ...CONDITIONS, ...status } },
    },
    ...rules,
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['isthmus'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema },
        },
      ],
    },
  };
}

/**
 * What an API server takes of a JSON Schema: it refuses unknown fields by itself, and a default that it wrote into an
 * object would stay there when a later version has another one.
 */
function structural(schema: JsonSchema): JsonSchema {
  const { additionalProperties, default: initial, properties, items, ...rest } = schema;
  const known = properties as Record<string, JsonSchema> | undefined;
  return {
    ...rest,
    ...describeDefault(schema.description, initial),
    ...(known && { properties: Object.fromEntries(Object.entries(known).map(([k, v]) => [k, structural(v)])) }),
    ...(isSchema(items) && { items: structural(items) }),
    ...(isSchema(additionalProperties) && { additionalProperties: structural(additionalProperties) }),
  };
}

function describeDefault(description: unknown, initial: unknown): { description?: string } {
  const says = typeof description === 'string' ? description : '';
  const value = typeof initial === 'object' ? undefined : initial;
  const text = [says, ...(value === undefined ? [] : [`Default: ${value}.`])].join(' ').trim();
  return text === '' ? {} : { description: text };
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}

const text = (maxLength: number) => ({ type: 'string', maxLength });

/** As every kind of Kubernetes that has conditions. */
const CONDITIONS: JsonSchema = {
  observedGeneration: { type: 'integer', format: 'int64', description: 'Of the spec that the status is about.' },
  conditions: {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
    items: {
      type: 'object',
      required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
      properties: {
        type: text(316),
        status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
        reason: text(1024),
        message: text(32768),
        observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        lastTransitionTime: { type: 'string', format: 'date-time' },
      },
    },
  },
};
