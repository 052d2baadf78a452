// Contents of the map `endpoints`: the pods of this node, and the node itself.
import { familyOf, type IpAddress } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import type { Problem } from '../model/snapshot.js';
import { firstAddress, UNSPECIFIED } from './node-address.js';
import { type Table, toTable } from './table.js';
import { ENDPOINT_FLAGS, type Endpoint as EndpointEntry } from './types.gen.js';

export interface EndpointsInput {
  readonly network: ClusterNetwork;
  readonly node: Node;
  readonly endpoints: readonly Endpoint[];
}

const NO_MAC = '00:00:00:00:00:00';
const NODE_BLOCK = 0;

export function compileEndpoints({ network, node, endpoints }: EndpointsInput): {
  table: Table<string, EndpointEntry>;
  problems: Problem[];
} {
  // The node first: an address of its own is never a pod's.
  const hosts = node.addresses.map((address) => [address, hostEntry(network, address)] as const);
  const pods = endpoints.flatMap((endpoint) =>
    endpoint.addresses.map((address) => [address, podEntry({ network, node, endpoint, address })] as const),
  );
  const problems = endpoints.filter(({ block }) => !hasBlock(network, block)).map((pod) => noBlock(network, pod));
  return { table: toTable([...hosts, ...pods]), problems };
}

function hostEntry(network: ClusterNetwork, address: IpAddress): EndpointEntry {
  const block = portBlock(network, NODE_BLOCK);
  return { ifindex: 0, flags: ENDPOINT_FLAGS.ENDPOINT_HOST, mac: NO_MAC, ...block, mtu: 0, nat_address: address };
}

interface PodInput extends Omit<EndpointsInput, 'endpoints'> {
  readonly endpoint: Endpoint;
  readonly address: IpAddress;
}

function podEntry({ network, node, endpoint, address }: PodInput): EndpointEntry {
  const { ifindex, mtu, block } = endpoint;
  const family = familyOf(address);
  const carried = network.families[family] !== undefined;
  const nat_address = carried ? firstAddress(node, family) : UNSPECIFIED;
  return { ifindex, flags: 0, mac: endpoint.mac.toLowerCase(), ...portBlock(network, block), mtu, nat_address };
}

/** A block outside the range, as after the range was made smaller, is none: its pod is refused, never untranslated. */
function portBlock(network: ClusterNetwork, block: number): Pick<EndpointEntry, 'port_first' | 'port_count'> {
  if (!hasBlock(network, block)) return { port_first: 0, port_count: 0 };
  return { port_first: network.natPorts.first + block * network.blockSize, port_count: network.blockSize };
}

function hasBlock({ natPorts, blockSize }: ClusterNetwork, block: number): boolean {
  return natPorts.first + (block + 1) * blockSize - 1 <= natPorts.last;
}

function noBlock({ natPorts, blockSize }: ClusterNetwork, { namespace, pod, block }: Endpoint): Problem {
  const object = `Pod ${namespace}/${pod}`;
  const range = `${natPorts.first}-${natPorts.last}`;
  const reason = `its port block ${block} of ${blockSize} ports lies outside the NAT ports ${range}; create it anew`;
  return { where: object, object, reason, inForce: 'everything but the translation of its packets' };
}
