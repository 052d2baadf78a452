// ClusterNetwork (isthmus.dev/v1alpha1) to the model. Our own kind: a field that is not known is refused.
import { z } from 'zod';
import { type Family, familyOf } from '../model/address.js';
import {
  checkNetwork,
  POD_BLOCKS_MAX,
  POD_CIDRS_MAX,
  RESERVED_RANGES_MAX,
  SERVICE_CIDRS_MAX,
} from '../model/check-network.js';
import {
  type BlockQuotas,
  type ClusterNetwork,
  DEFAULT_BLOCK_ORDER,
  DEFAULT_BLOCK_QUOTAS,
  DEFAULT_BLOCK_SIZE,
  DEFAULT_FLOW_LIMITS,
  DEFAULT_NAT_BEHAVIOUR,
  DEFAULT_NAT_PORTS,
  DEFAULT_NODE_PORTS,
  DEFAULT_PORT_ORDER,
  DEFAULT_REUSE_HOLD,
  DEFAULT_TIMEOUTS,
  type FamilyNetwork,
} from '../model/network.js';
import { ConvertError, cidr, cidrOr, portRange, RANGE_RULE, rules, validate } from './schema.js';

const SECONDS_MAX = 0x7fff_ffff;
/** Releases are remembered for a day. */
const REUSE_HOLD_MAX = 86_400;
const FLOWS_MAX = 0x7fff_ffff;

const PODS_MAX = 65_535;
const BLOCKS_MAX = 65_535;

const NODE_PORT_ADDRESSES_MAX = 64;
const EXCEPT_CIDRS_MAX = 1024;

const POWERS_OF_TWO = Array.from({ length: 16 }, (_, power) => 2 ** power);
const NAT_PORTS_RULES = rules(RANGE_RULE, [
  "!self.matches('^[0-9]+-[0-9]+$') || int(self.split('-')[0]) >= 1024",
  'begins below 1024',
]);

const mapping = z.enum(['EndpointIndependent', 'EndpointDependent']);

export const schema = z.looseObject({
  metadata: z.looseObject({ name: z.literal('default', { error: "only the ClusterNetwork named 'default' is used" }) }),
  spec: z.strictObject({
    clusterID: z.string().min(1).meta({ description: 'The name of this cluster, unlike that of any other one.' }),
    ipv4: familySchema('ipv4').optional(),
    ipv6: familySchema('ipv6').optional(),
    nat: z
      .strictObject(natFields())
      .prefault({})
      .meta({
        description: 'How the pods of an island are translated.',
        ...rules([
          "!has(self.ports) || !has(self.nodePorts) || int(self.ports.split('-')[0]) > int(self.nodePorts.split('-')[1])" +
            " || int(self.nodePorts.split('-')[0]) > int(self.ports.split('-')[1])",
          'ports and nodePorts overlap',
        ]),
      }),
    timeouts: z
      .strictObject(timeoutFields())
      .prefault({})
      .meta({ description: 'Seconds after which a flow without packets is forgotten.' }),
    serviceCIDRs: z.array(cidr).optional().meta({
      description: "Where cluster IPs come from: of an address in there, only a Service's ports answer.",
      maxItems: SERVICE_CIDRS_MAX,
    }),
    nodePortAddresses: z.array(cidrOr('primary')).min(1).optional().meta({
      description: "Which of a node's addresses serve node ports: CIDRs, or primary; all when absent.",
      maxItems: NODE_PORT_ADDRESSES_MAX,
    }),
    forwardingMode: z.enum(['Translated', 'DirectReturn']).optional().meta({
      description:
        "How a packet for a backend of another node gets there, where a Service does not say: translated, or inside another packet so that the backend sees the client's address and answers it directly.",
    }),
  }),
});

/** Throws ConvertError. */
export function convertClusterNetwork(object: unknown): ClusterNetwork {
  const { spec } = validate(schema, object);
  const network: ClusterNetwork = {
    clusterID: spec.clusterID,
    families: { ...(spec.ipv4 && { ipv4: spec.ipv4 }), ...(spec.ipv6 && { ipv6: spec.ipv6 }) },
    natBehaviour: {
      udpMapping: spec.nat.udpMapping,
      tcpMapping: spec.nat.tcpMapping,
      filtering: spec.nat.filtering,
    },
    natPorts: spec.nat.ports,
    blockSize: spec.nat.blockSize,
    blockOrder: spec.nat.blockOrder,
    blockQuotas: convertQuotas(spec.nat),
    reservedPorts: spec.nat.reservedPorts,
    portOrder: spec.nat.portOrder,
    reuseHold: spec.nat.reuseHold,
    nodePorts: spec.nat.nodePorts,
    timeouts: spec.timeouts,
    flowLimits: { perPod: spec.nat.flowsPerPod, unansweredPerPod: spec.nat.unansweredPerPod },
    ...(spec.serviceCIDRs && { serviceCIDRs: spec.serviceCIDRs }),
    ...(spec.nodePortAddresses && { nodePortAddresses: spec.nodePortAddresses }),
    ...(spec.forwardingMode && { forwardingMode: spec.forwardingMode }),
  };
  // Here and not only beside the other objects: a source keeps the last good state of what it cannot convert.
  const fault = checkNetwork(network);
  if (fault !== undefined) throw new ConvertError(`${fault.path.join('.')}: ${fault.reason}`, fault.path, fault.code);
  return network;
}

function natFields() {
  return {
    ports: portRange
      .default(DEFAULT_NAT_PORTS)
      .meta({ description: 'Ports that pods are translated to. Default: 36864-65535.', ...NAT_PORTS_RULES }),
    blockSize: z
      .int()
      .min(1)
      .max(32768)
      .default(DEFAULT_BLOCK_SIZE)
      .meta({
        description: 'Ports of a block, a power of two.',
        ...rules([`self in [${POWERS_OF_TWO.join(', ')}]`, 'is not a power of two']),
      }),
    blockOrder: z
      .enum(['Random', 'Sequential'])
      .default(DEFAULT_BLOCK_ORDER)
      .meta({ description: 'In which order blocks are given to pods.' }),
    blocksPerPod: blocksPerPod(),
    blocksPerNamespace: blocksPerNamespace(),
    podsPerNode: z
      .int()
      .min(0)
      .max(PODS_MAX)
      .default(DEFAULT_BLOCK_QUOTAS.podsPerNode)
      .meta({ description: 'For so many pods of a node first blocks are kept.' }),
    reservedPorts: z
      .array(portRange)
      .default([])
      .meta({ description: 'NAT ports that are left to the host.', maxItems: RESERVED_RANGES_MAX }),
    portOrder: z
      .enum(['Random', 'Preserving'])
      .default(DEFAULT_PORT_ORDER)
      .meta({ description: 'Where the search for a free port begins.' }),
    reuseHold: z
      .int()
      .min(0)
      .max(REUSE_HOLD_MAX)
      .default(DEFAULT_REUSE_HOLD)
      .meta({ description: 'Seconds that a block rests after its last owner.' }),
    nodePorts: portRange
      .default(DEFAULT_NODE_PORTS)
      .meta({ description: "The API server's range of node ports. Default: 30000-32767." }),
    udpMapping: mapping
      .default(DEFAULT_NAT_BEHAVIOUR.udpMapping)
      .meta({ description: "Whether a pod's UDP socket has one outside port for all remotes (RFC 4787)." }),
    tcpMapping: mapping
      .default(DEFAULT_NAT_BEHAVIOUR.tcpMapping)
      .meta({ description: "Whether a pod's TCP socket has one outside port for all remotes (RFC 5382)." }),
    filtering: z
      .enum(['EndpointIndependent', 'AddressDependent', 'AddressAndPortDependent'])
      .default(DEFAULT_NAT_BEHAVIOUR.filtering)
      .meta({ description: 'Who may send to a mapping that is independent of endpoints (RFC 4787).' }),
    flowsPerPod: z
      .int()
      .min(0)
      .max(FLOWS_MAX)
      .default(DEFAULT_FLOW_LIMITS.perPod)
      .meta({ description: 'Open flows that a pod may have; 0: as many as there is room for.' }),
    unansweredPerPod: z
      .int()
      .min(1)
      .max(FLOWS_MAX)
      .default(DEFAULT_FLOW_LIMITS.unansweredPerPod)
      .meta({ description: 'Flows without an answer that a pod may have while the table is nearly full.' }),
  };
}

function blocksPerPod() {
  const { initial, maximum } = DEFAULT_BLOCK_QUOTAS;
  const blocks = z.int().min(1).max(BLOCKS_MAX);
  return z
    .strictObject({ initial: blocks.default(initial), maximum: blocks.optional() })
    .prefault({})
    .transform(
      // Who asks for more at first than the default allows in all wants just these.
      (given) => ({ initial: given.initial, maximum: given.maximum ?? Math.max(given.initial, maximum) }),
    )
    .meta({
      description: `Blocks of a pod, of each family: when it is added, and in all. Default: ${initial} and ${maximum}.`,
      ...rules(
        ['!has(self.initial) || !has(self.maximum) || self.initial <= self.maximum', 'initial is more than maximum'],
        [`!has(self.initial) || self.initial <= ${POD_BLOCKS_MAX}`, `initial is more than ${POD_BLOCKS_MAX}`],
        [`!has(self.maximum) || self.maximum <= ${POD_BLOCKS_MAX}`, `maximum is more than ${POD_BLOCKS_MAX}`],
      ),
    });
}

function blocksPerNamespace() {
  const blocks = z.int().min(0).max(BLOCKS_MAX);
  return z
    .strictObject({ default: blocks.optional(), namespaces: z.record(z.string(), blocks).default({}) })
    .prefault({})
    .meta({ description: 'Blocks of all pods of a namespace on a node together: of any, and of some by name.' });
}

interface QuotaFields {
  readonly blocksPerPod: { readonly initial: number; readonly maximum: number };
  readonly blocksPerNamespace: {
    readonly default?: number | undefined;
    readonly namespaces: Readonly<Record<string, number>>;
  };
  readonly podsPerNode: number;
}

function convertQuotas({ blocksPerPod, blocksPerNamespace, podsPerNode }: QuotaFields): BlockQuotas {
  const { default: perNamespace, namespaces } = blocksPerNamespace;
  return { ...blocksPerPod, ...(perNamespace === undefined ? {} : { perNamespace }), namespaces, podsPerNode };
}

function familySchema(family: Family) {
  const own = cidr
    .refine((text) => familyOf(text) === family, { error: `expected a CIDR of ${family}` })
    .meta(
      rules([
        `isCIDR(self) && cidr(self).ip().family() == ${family === 'ipv4' ? 4 : 6}`,
        `expected a CIDR of ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
      ]),
    );
  return z
    .strictObject({
      mode: z
        .enum(['Flat', 'Island'])
        .meta({ description: 'Whether pod addresses are routed outside (Flat), or translated at the node (Island).' }),
      podCIDRs: z.array(own).min(1).meta({ description: 'Every pod CIDR of the cluster.', maxItems: POD_CIDRS_MAX }),
      masquerade: z
        .strictObject({
          exceptCIDRs: z.array(own).default([]).meta({
            description: "Destinations outside the cluster that see the pod's own address.",
            maxItems: EXCEPT_CIDRS_MAX,
          }),
        })
        .prefault({}),
    })
    .transform(
      ({ mode, podCIDRs, masquerade }): FamilyNetwork => ({ mode, podCIDRs, neverTranslate: masquerade.exceptCIDRs }),
    )
    .meta({ description: `How pods have ${family === 'ipv4' ? 'IPv4' : 'IPv6'}; absent: they have none.` });
}

function timeoutFields() {
  const seconds = (fallback: number) => z.int().min(1).max(SECONDS_MAX).default(fallback);
  return {
    tcpOpening: seconds(DEFAULT_TIMEOUTS.tcpOpening),
    tcpEstablished: seconds(DEFAULT_TIMEOUTS.tcpEstablished),
    tcpClosing: seconds(DEFAULT_TIMEOUTS.tcpClosing),
    udpOneWay: seconds(DEFAULT_TIMEOUTS.udpOneWay),
    udpTwoWay: seconds(DEFAULT_TIMEOUTS.udpTwoWay),
    udpWellKnown: seconds(DEFAULT_TIMEOUTS.udpWellKnown),
    icmp: seconds(DEFAULT_TIMEOUTS.icmp),
  };
}
