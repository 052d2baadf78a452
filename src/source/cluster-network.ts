// ClusterNetwork (isthmus.dev/v1alpha1) to the model. Our own kind: a field that is not known is refused.
import { z } from 'zod';
import { type Family, familyOf } from '../model/address.js';
import { checkNetwork } from '../model/check-network.js';
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
import { ConvertError, cidr, portRange, validate } from './schema.js';

const SECONDS_MAX = 0x7fff_ffff;
/** Releases are remembered for a day. */
const REUSE_HOLD_MAX = 86_400;
const FLOWS_MAX = 0x7fff_ffff;

const PODS_MAX = 65_535;
const BLOCKS_MAX = 65_535;

const mapping = z.enum(['EndpointIndependent', 'EndpointDependent']);

const schema = z.looseObject({
  metadata: z.looseObject({ name: z.literal('default', { error: "only the ClusterNetwork named 'default' is used" }) }),
  spec: z.strictObject({
    clusterID: z.string().min(1),
    ipv4: familySchema('ipv4').optional(),
    ipv6: familySchema('ipv6').optional(),
    nat: z
      .strictObject({
        ports: portRange.default(DEFAULT_NAT_PORTS),
        blockSize: z.int().min(1).max(32768).default(DEFAULT_BLOCK_SIZE),
        blockOrder: z.enum(['Random', 'Sequential']).default(DEFAULT_BLOCK_ORDER),
        blocksPerPod: blocksPerPod(),
        blocksPerNamespace: blocksPerNamespace(),
        podsPerNode: z.int().min(0).max(PODS_MAX).default(DEFAULT_BLOCK_QUOTAS.podsPerNode),
        reservedPorts: z.array(portRange).default([]),
        portOrder: z.enum(['Random', 'Preserving']).default(DEFAULT_PORT_ORDER),
        reuseHold: z.int().min(0).max(REUSE_HOLD_MAX).default(DEFAULT_REUSE_HOLD),
        nodePorts: portRange.default(DEFAULT_NODE_PORTS),
        udpMapping: mapping.default(DEFAULT_NAT_BEHAVIOUR.udpMapping),
        tcpMapping: mapping.default(DEFAULT_NAT_BEHAVIOUR.tcpMapping),
        filtering: z
          .enum(['EndpointIndependent', 'AddressDependent', 'AddressAndPortDependent'])
          .default(DEFAULT_NAT_BEHAVIOUR.filtering),
        flowsPerPod: z.int().min(0).max(FLOWS_MAX).default(DEFAULT_FLOW_LIMITS.perPod),
        unansweredPerPod: z.int().min(1).max(FLOWS_MAX).default(DEFAULT_FLOW_LIMITS.unansweredPerPod),
      })
      .prefault({}),
    timeouts: z.strictObject(timeoutFields()).prefault({}),
    serviceCIDRs: z.array(cidr).optional(),
    nodePortAddresses: z.array(z.literal('primary').or(cidr)).min(1).optional(),
    forwardingMode: z.enum(['Translated', 'DirectReturn']).optional(),
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
  if (fault !== undefined) throw new ConvertError(`${fault.path.join('.')}: ${fault.reason}`, fault.path);
  return network;
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
    );
}

function blocksPerNamespace() {
  const blocks = z.int().min(0).max(BLOCKS_MAX);
  return z
    .strictObject({ default: blocks.optional(), namespaces: z.record(z.string(), blocks).default({}) })
    .prefault({});
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
  const own = cidr.refine((text) => familyOf(text) === family, { error: `expected a CIDR of ${family}` });
  return z
    .strictObject({
      mode: z.enum(['Flat', 'Island']),
      podCIDRs: z.array(own).min(1),
      masquerade: z.strictObject({ exceptCIDRs: z.array(own).default([]) }).prefault({}),
    })
    .transform(
      ({ mode, podCIDRs, masquerade }): FamilyNetwork => ({ mode, podCIDRs, neverTranslate: masquerade.exceptCIDRs }),
    );
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
