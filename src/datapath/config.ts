// The part of the datapath's load-time configuration that the snapshot decides.
import { type Cidr, cidrBytes, FAMILIES, formatAddress, maskBytes } from '../model/address.js';
import { POD_CIDRS_MAX, RESERVED_RANGES_MAX, SERVICE_CIDRS_MAX } from '../model/check-network.js';
import type { ClusterNetwork, Filtering, Timeouts } from '../model/network.js';
import type { Node } from '../model/node.js';
import { firstAddress, UNSPECIFIED } from './node-address.js';
import { type Config, FILTERING, type PortRange, type Prefix, type Timeouts as TimeoutsEntry } from './types.gen.js';

/** Without what only the running machine knows. */
export type SnapshotConfig = Omit<
  Config,
  | 'uplink_ifindex'
  | 'uplink_mtu'
  | 'uplink_mac'
  | 'xdp_redirect'
  | 'gateway_mac'
  | 'netns_cookie'
  | 'fast_checksum'
  | 'loaded'
  | 'detour_ifindex'
  | 'detour_mac'
  | 'cut_ifindex'
>;

/** What pods have as next hop, by family; the datapath itself answers for them. */
export const GATEWAYS: readonly string[] = ['169.254.1.1', 'fe80::1'];

/** LOCAL_MAX: the datapath looks up pods of further ones where it would ask for another node's, and finds them there. */
const LOCAL_MAX = 4;

const NO_PREFIX: Prefix = { address: UNSPECIFIED, mask: UNSPECIFIED };

const NO_PORTS: PortRange = { first: 0, last: 0 };

const FILTERING_VALUES: Readonly<Record<Filtering, number>> = {
  AddressAndPortDependent: FILTERING.FILTERING_ADDRESS_AND_PORT,
  AddressDependent: FILTERING.FILTERING_ADDRESS,
  EndpointIndependent: FILTERING.FILTERING_NONE,
};

export function compileConfig(network: ClusterNetwork, node: Node): SnapshotConfig {
  const inside = FAMILIES.flatMap((family) => network.families[family]?.podCIDRs ?? []).map(toPrefix);
  const local = node.podCIDRs.slice(0, LOCAL_MAX).map(toPrefix);
  return {
    node_address: FAMILIES.map((family) => firstAddress(node, family)),
    gateway: GATEWAYS,
    inside: fill(inside, POD_CIDRS_MAX),
    inside_count: inside.length,
    local: fill(local, LOCAL_MAX),
    local_count: local.length,
    nat_port_first: network.natPorts.first,
    nat_port_last: network.natPorts.last,
    node_port_first: network.nodePorts.first,
    node_port_last: network.nodePorts.last,
    island: Uint8Array.from(FAMILIES, (family) => (network.families[family]?.mode === 'Island' ? 1 : 0)),
    udp_endpoint_independent: network.natBehaviour.udpMapping === 'EndpointIndependent' ? 1 : 0,
    tcp_endpoint_independent: network.natBehaviour.tcpMapping === 'EndpointIndependent' ? 1 : 0,
    filtering: FILTERING_VALUES[network.natBehaviour.filtering],
    timeouts: toTimeouts(network.timeouts),
    random_ports: network.portOrder === 'Random' ? 1 : 0,
    reserved: [...network.reservedPorts, ...Array<PortRange>(RESERVED_RANGES_MAX).fill(NO_PORTS)].slice(
      0,
      RESERVED_RANGES_MAX,
    ),
    reserved_count: network.reservedPorts.length,
    flow_limit: network.flowLimits.perPod,
    unanswered_limit: network.flowLimits.unansweredPerPod,
    ...serviceCidrs(network),
  };
}

function fill(prefixes: readonly Prefix[], count: number): Prefix[] {
  return [...prefixes, ...Array<Prefix>(count).fill(NO_PREFIX)].slice(0, count);
}

function serviceCidrs({ serviceCIDRs = [] }: ClusterNetwork): Pick<Config, 'service_cidrs' | 'service_cidr_count'> {
  return {
    service_cidrs: fill(serviceCIDRs.map(toPrefix), SERVICE_CIDRS_MAX),
    service_cidr_count: serviceCIDRs.length,
  };
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
