// Contents of the map `endpoints`: the pods of this node, and the node itself.
import { familyOf, type IpAddress } from '../model/address.js';
import { type EgressPool, poolAddresses, translationAddresses } from '../model/egress-pool.js';
import type { Endpoint, PortBlocks } from '../model/endpoint.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import { isUsable, NODE_BLOCK, portsOf } from '../model/port-blocks.js';
import type { Problem } from '../model/snapshot.js';
import { UNSPECIFIED } from './node-address.js';
import { type Table, toTable } from './table.js';
import { ENDPOINT_FLAGS, ENDPOINT_LIMITS, type Endpoint as EndpointEntry } from './types.gen.js';

export interface EndpointsInput {
  readonly network: ClusterNetwork;
  readonly node: Node;
  readonly pools?: Iterable<EgressPool>;
  readonly endpoints: readonly Endpoint[];
  /** Inside addresses of pods that get another block when they ask for one. */
  readonly growable?: ReadonlySet<IpAddress>;
}

type PortFields = Pick<EndpointEntry, 'block_size' | 'block_count' | 'blocks' | 'nat_address'>;

const NO_MAC = '00:00:00:00:00:00';

export function compileEndpoints(input: EndpointsInput): { table: Table<string, EndpointEntry>; problems: Problem[] } {
  const { network, node, pools = [], endpoints } = input;
  // The node first: an address of its own is never a pod's.
  const hosts = node.addresses.map(
    (address) => [address, hostEntry(network, { address, blocks: [NODE_BLOCK] })] as const,
  );
  const extra = poolAddresses(pools, node).map(
    (address) => [address, hostEntry(network, { address, blocks: [] })] as const,
  );
  const compiled = endpoints.flatMap((endpoint) =>
    endpoint.addresses.map((address) => ({ address, ...compilePod(input, endpoint, address) })),
  );
  const pods = compiled.map(({ address, entry }) => [address, entry] as const);
  const problems = compiled.flatMap(({ problem }) => problem ?? []);
  return { table: toTable([...hosts, ...extra, ...pods]), problems };
}

function hostEntry(network: ClusterNetwork, binding: PortBlocks): EndpointEntry {
  const ports = portFields(network, binding);
  return { ifindex: 0, flags: ENDPOINT_FLAGS.ENDPOINT_HOST, mac: NO_MAC, mtu: 0, ...ports };
}

function compilePod(
  { network, node, pools = [], growable }: EndpointsInput,
  endpoint: Endpoint,
  address: IpAddress,
): { entry: EndpointEntry; problem?: Problem } {
  const { ifindex, mtu, nat } = endpoint;
  const family = familyOf(address);
  const carried = network.families[family] !== undefined ? translationAddresses(pools, node, family) : [];
  const binding = nat.find((one) => carried.includes(one.address));
  const flags =
    (growable?.has(address) === true ? ENDPOINT_FLAGS.ENDPOINT_MAY_GROW : 0) |
    (endpoint.bandwidth?.ingress === undefined ? 0 : ENDPOINT_FLAGS.ENDPOINT_LIMITED) |
    (endpoint.chained === true ? ENDPOINT_FLAGS.ENDPOINT_CHAINED : 0);
  const ports = portFields(network, binding ?? { address: carried[0] ?? UNSPECIFIED, blocks: [] });
  const entry = { ifindex, flags, mac: endpoint.mac.toLowerCase(), mtu, ...ports };
  return ports.block_count > 0 || carried.length === 0 ? { entry } : { entry, problem: noBlock(endpoint, address) };
}

/** A block outside the range, as after the range was made smaller, is none: packets are refused, never untranslated. */
function portFields(network: ClusterNetwork, { address, blocks }: PortBlocks): PortFields {
  const usable = blocks.filter((block) => isUsable(network, block)).slice(0, ENDPOINT_LIMITS.ENDPOINT_BLOCKS_MAX);
  const firsts = usable.map((block) => portsOf(network, block).first);
  const unused = Array<number>(ENDPOINT_LIMITS.ENDPOINT_BLOCKS_MAX - firsts.length).fill(0);
  return {
    block_size: firsts.length === 0 ? 0 : network.blockSize,
    block_count: firsts.length,
    blocks: [...firsts, ...unused],
    nat_address: address,
  };
}

function noBlock({ namespace, pod }: Endpoint, address: IpAddress): Problem {
  const object = `Pod ${namespace}/${pod}`;
  const reason = `its address ${address} has no port block: none is left (see \`isthmus nat stats\`)`;
  return { where: object, object, reason, inForce: 'everything but the translation of its packets' };
}
