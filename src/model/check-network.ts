// What a ClusterNetwork must satisfy in itself, beyond the shape of its fields.
import { FAMILIES, overlaps } from './address.js';
import type { Fault } from './fault.js';
import type { ClusterNetwork, PortRange } from './network.js';
import { countBlocks, isUsable, NODE_BLOCK } from './port-blocks.js';

/** A broken rule, with the field of the manifest that breaks it. */
export interface NetworkFault extends Fault {
  readonly path: readonly string[];
}

/** As many pod CIDRs, of both families together, as the datapath's configuration has room for. */
export const POD_CIDRS_MAX = 8;
/** As many service CIDRs, of both families together. */
export const SERVICE_CIDRS_MAX = 4;
/** Ports below are for servers (RFC 6335), never for translation. */
const FIRST_EPHEMERAL_PORT = 1024;
/** As many blocks of a pod, and reserved ranges, as the datapath has room for. */
export const POD_BLOCKS_MAX = 16;
export const RESERVED_RANGES_MAX = 8;

/** The first broken rule, or undefined. */
export function checkNetwork(network: ClusterNetwork): NetworkFault | undefined {
  return (
    checkPorts(network) ??
    checkBlocks(network) ??
    checkReserved(network) ??
    checkQuotas(network) ??
    checkCidrs(network) ??
    checkServiceCidrs(network)
  );
}

function checkPorts({ natPorts, nodePorts }: ClusterNetwork): NetworkFault | undefined {
  const ports = ['spec', 'nat', 'ports'];
  if (natPorts.first < FIRST_EPHEMERAL_PORT) {
    return { code: 'Invalid', path: ports, reason: `${text(natPorts)} begins below ${FIRST_EPHEMERAL_PORT}` };
  }
  if (natPorts.first <= nodePorts.last && nodePorts.first <= natPorts.last) {
    return {
      code: 'OverlappingPorts',
      path: ports,
      reason: `${text(natPorts)} overlaps the node ports ${text(nodePorts)}`,
    };
  }
  return undefined;
}

function checkBlocks({ natPorts, blockSize }: ClusterNetwork): NetworkFault | undefined {
  const path = ['spec', 'nat', 'blockSize'];
  if (blockSize < 1 || (blockSize & (blockSize - 1)) !== 0) {
    return { code: 'Invalid', path, reason: `${blockSize} is not a power of two` };
  }
  if (2 * blockSize > natPorts.last - natPorts.first + 1) {
    return {
      code: 'Invalid',
      path,
      reason: `${text(natPorts)} has no room for the node's block and one pod's, of ${blockSize} ports each`,
    };
  }
  return undefined;
}

function checkReserved(network: ClusterNetwork): NetworkFault | undefined {
  const { reservedPorts, natPorts } = network;
  const path = ['spec', 'nat', 'reservedPorts'];
  if (reservedPorts.length > RESERVED_RANGES_MAX) {
    return { code: 'Invalid', path, reason: `${reservedPorts.length} ranges, but at most ${RESERVED_RANGES_MAX}` };
  }
  const outside = reservedPorts.find(({ first, last }) => first < natPorts.first || last > natPorts.last);
  if (outside !== undefined) {
    return {
      code: 'Invalid',
      path,
      reason: `${text(outside)} lies outside the NAT ports ${text(natPorts)}, which alone are taken from the host`,
    };
  }
  if (!isUsable(network, NODE_BLOCK))
    return { code: 'Invalid', path, reason: "the first block is the node's own and cannot be reserved" };
  const blocks = Array.from({ length: countBlocks(network) - 1 }, (_, index) => index + 1);
  if (blocks.some((block) => isUsable(network, block))) return undefined;
  return { code: 'Invalid', path, reason: `no block of ${network.blockSize} ports is left for pods` };
}

function checkQuotas({ blockQuotas: { initial, maximum } }: ClusterNetwork): NetworkFault | undefined {
  const path = ['spec', 'nat', 'blocksPerPod'];
  if (maximum > POD_BLOCKS_MAX)
    return { code: 'Invalid', path, reason: `maximum ${maximum} is more than ${POD_BLOCKS_MAX}` };
  if (initial > maximum) return { code: 'Invalid', path, reason: `initial ${initial} is more than maximum ${maximum}` };
  return undefined;
}

function checkCidrs({ families }: ClusterNetwork): NetworkFault | undefined {
  const count = FAMILIES.reduce((sum, family) => sum + (families[family]?.podCIDRs.length ?? 0), 0);
  if (count <= POD_CIDRS_MAX) return undefined;
  return {
    code: 'Invalid',
    path: ['spec'],
    reason: `${count} pod CIDRs, but at most ${POD_CIDRS_MAX} of both families together`,
  };
}

function checkServiceCidrs({ families, serviceCIDRs = [] }: ClusterNetwork): NetworkFault | undefined {
  const path = ['spec', 'serviceCIDRs'];
  if (serviceCIDRs.length > SERVICE_CIDRS_MAX) {
    return { code: 'Invalid', path, reason: `${serviceCIDRs.length} service CIDRs, but at most ${SERVICE_CIDRS_MAX}` };
  }
  const podCIDRs = FAMILIES.flatMap((family) => families[family]?.podCIDRs ?? []);
  for (const cidr of serviceCIDRs) {
    const pods = podCIDRs.find((other) => overlaps(cidr, other));
    if (pods !== undefined) return { code: 'OverlappingCIDR', path, reason: `${cidr} overlaps the pod CIDR ${pods}` };
  }
  return undefined;
}

function text(range: PortRange): string {
  return `${range.first}-${range.last}`;
}
