// The part of the datapath's load-time configuration that the snapshot decides.
import { type Cidr, cidrBytes, FAMILIES, formatAddress, maskBytes } from '../model/address.js';
import { POD_CIDRS_MAX, SERVICE_CIDRS_MAX } from '../model/check-network.js';
import type { ClusterNetwork, Filtering, Timeouts } from '../model/network.js';
import type { Node } from '../model/node.js';
import { firstAddress, UNSPECIFIED } from './node-address.js';
import { type Config, FILTERING, type Prefix, type Timeouts as TimeoutsEntry } from './types.gen.js';

/** Without what only the running machine knows. */
export type SnapshotConfig = Omit<
  Config,
  'uplink_ifindex' | 'uplink_mtu' | 'gateway_mac' | 'netns_cookie' | 'fast_checksum' | 'detour_ifindex' | 'detour_mac'
>;

/** What pods have as next hop, by family; the datapath itself answers for them. */
export const GATEWAYS: readonly string[] = ['169.254.1.1', 'fe80::1'];

const NO_PREFIX: Prefix = { address: UNSPECIFIED, mask: UNSPECIFIED };

const FILTERING_VALUES: Readonly<Record<Filtering, number>> = {
  AddressAndPortDependent: FILTERING.FILTERING_ADDRESS_AND_PORT,
  AddressDependent: FILTERING.FILTERING_ADDRESS,
  EndpointIndependent: FILTERING.FILTERING_NONE,
};

export function compileConfig(network: ClusterNetwork, node: Node): SnapshotConfig {
  const inside = FAMILIES.flatMap((family) => network.families[family]?.podCIDRs ?? []).map(toPrefix);
  return {
    node_address: FAMILIES.map((family) => firstAddress(node, family)),
    gateway: GATEWAYS,
    inside: [...inside, ...Array<Prefix>(POD_CIDRS_MAX).fill(NO_PREFIX)].slice(0, POD_CIDRS_MAX),
    inside_count: inside.length,
    nat_port_first: network.natPorts.first,
    nat_port_last: network.natPorts.last,
    node_port_first: network.nodePorts.first,
    node_port_last: network.nodePorts.last,
    island: Uint8Array.from(FAMILIES, (family) => (network.families[family]?.mode === 'Island' ? 1 : 0)),
    udp_endpoint_independent: network.natBehaviour.udpMapping === 'EndpointIndependent' ? 1 : 0,
    tcp_endpoint_independent: network.natBehaviour.tcpMapping === 'EndpointIndependent' ? 1 : 0,
    filtering: FILTERING_VALUES[network.natBehaviour.filtering],
    timeouts: toTimeouts(network.timeouts),
    ...serviceCidrs(network),
  };
}

function serviceCidrs({ serviceCIDRs = [] }: ClusterNetwork): Pick<Config, 'service_cidrs' | 'service_cidr_count'> {
  const prefixes = [...serviceCIDRs.map(toPrefix), ...Array<Prefix>(SERVICE_CIDRS_MAX).fill(NO_PREFIX)];
  return { service_cidrs: prefixes.slice(0, SERVICE_CIDRS_MAX), service_cidr_count: serviceCIDRs.length };
}

function toPrefix(cidr: Cidr): Prefix {
  const { bytes, length } = cidrBytes(cidr);
  return { address: formatAddress(bytes), mask: formatAddress(maskBytes(length)) };
}

function toTimeouts(timeouts: Timeouts): TimeoutsEntry {
  return {
    tcp_opening: timeouts.tcpOpening,
    tcp_established: timeouts.tcpEstablished,
    tcp_closing: timeouts.tcpClosing,
    udp_one_way: timeouts.udpOneWay,
    udp_two_way: timeouts.udpTwoWay,
    udp_well_known: timeouts.udpWellKnown,
    icmp: timeouts.icmp,
  };
}
