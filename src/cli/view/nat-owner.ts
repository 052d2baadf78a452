// Who is behind a translated address and port: the owner of the port block, and the live flows that use the port.
import type { IpAddress } from '../../model/address.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { AddressFilter, AddressPort } from '../address-port.js';
import type { PodIndex } from './pods.js';
import { matches, type TranslationItem } from './translation.js';

/** A row of the endpoints map that owns ports. */
export interface PortBlock {
  /** Of the pod or the node. */
  readonly address: IpAddress;
  readonly host: boolean;
  readonly natAddress: IpAddress;
  readonly first: number;
  /** 0 when it owns no block. */
  readonly count: number;
  /** Which of its owner's blocks; later ones were given on request. */
  readonly index?: number;
}

/** Who owns an address: a pod with its record, the node, or an address whose pod is gone. */
export type Owner =
  | { readonly kind: 'Pod'; readonly namespace: string; readonly name: string; readonly uid: string }
  | { readonly kind: 'Node'; readonly name: string }
  | { readonly kind: 'Unknown'; readonly address: IpAddress };

/** An item of NatOwnerList: one live flow, or the block's owner alone when no flow uses the port now. */
export interface NatOwnerItem {
  readonly node: string;
  readonly owner: Owner;
  readonly outside: AddressPort;
  readonly ports?: { readonly first: number; readonly last: number };
  /** What the answer rests on. */
  readonly evidence: 'flow' | 'block';
  readonly protocol?: string;
  readonly inside: AddressFilter;
  readonly remote?: AddressFilter;
  readonly state?: string;
  /** RFC 3339: when the flow began; for a pod's first block, when the pod got it. */
  readonly since?: string;
}

/** What one node knows that bears on the question. */
export interface NodeTranslations {
  readonly node: string;
  readonly blocks: readonly PortBlock[];
  readonly pods: PodIndex;
  /** The translations whose outside is the asked address and port, filtered by protocol and remote. */
  readonly flows: readonly TranslationItem[];
  /** Milliseconds of the wall clock, for the begin of flows. */
  readonly now: number;
}

type OwnersKnown = Pick<NodeTranslations, 'node' | 'pods' | 'blocks'>;

/** The rows that answer the question for one node; empty when nobody is behind the port there. */
export function findNatOwner(query: AddressPort, known: NodeTranslations): NatOwnerItem[] {
  const block = known.blocks.find((each) => owns(each, query));
  const flows = known.flows.filter((flow) => matches(flow.outside, query));
  if (flows.length > 0) return flows.map((flow) => flowRow(flow, { query, known, block }));
  return block === undefined ? [] : [blockRow(block, query, known)];
}

function owns({ natAddress, first, count }: PortBlock, { address, port }: AddressPort): boolean {
  return natAddress === address && port >= first && port < first + count;
}

interface Question {
  readonly query: AddressPort;
  readonly known: NodeTranslations;
  readonly block: PortBlock | undefined;
}

function flowRow(flow: TranslationItem, { query, known, block }: Question): NatOwnerItem {
  const owner = block?.host === true ? nodeOwner(known.node) : podOwner(flow.inside.address, known);
  return {
    node: known.node,
    owner,
    outside: query,
    ...(block === undefined ? {} : { ports: portsOf(block) }),
    evidence: 'flow',
    protocol: flow.protocol,
    inside: flow.inside,
    remote: flow.remote,
    state: flow.state,
    since: new Date(known.now - flow.ageSeconds * 1000).toISOString(),
  };
}

function blockRow(block: PortBlock, query: AddressPort, known: NodeTranslations): NatOwnerItem {
  const record = known.pods.get(block.address);
  return {
    node: known.node,
    owner: blockOwner(block, known),
    outside: query,
    ports: portsOf(block),
    evidence: 'block',
    inside: { address: block.address },
    ...(record === undefined || (block.index ?? 0) > 0 ? {} : { since: record.created }),
  };
}

/** Who owns a block. */
export function blockOwner(block: PortBlock, known: OwnersKnown): Owner {
  return block.host ? nodeOwner(known.node) : podOwner(block.address, known);
}

function nodeOwner(name: string): Owner {
  return { kind: 'Node', name };
}

function podOwner(address: IpAddress, { pods, blocks, node }: OwnersKnown): Owner {
  const record = pods.get(address);
  if (record !== undefined) return recordOwner(record);
  if (blocks.some((block) => block.host && block.address === address)) return nodeOwner(node);
  return { kind: 'Unknown', address };
}

function recordOwner({ namespace, pod, podUID }: Endpoint): Owner {
  return { kind: 'Pod', namespace, name: pod, uid: podUID };
}

function portsOf({ first, count }: PortBlock): { first: number; last: number } {
  return { first, last: first + count - 1 };
}

/** What a node says about a port that nobody is behind. */
export interface PortRanges {
  readonly node: string;
  readonly blocks: readonly PortBlock[];
  readonly natPorts: { readonly first: number; readonly last: number };
  readonly blockSize: number;
  /** Names of the service ports whose frontend this is. */
  readonly services: readonly string[];
}

/** One sentence: why nobody is behind an address and port of a node, and which range owns the port. */
export function explainNobody(query: AddressPort, ranges: PortRanges): string {
  const { node, natPorts, blockSize } = ranges;
  if (ranges.services.length > 0) {
    return `it is the frontend of service ${ranges.services.join(', ')} on node ${node}, and no live flow uses it`;
  }
  const addresses = [...new Set(ranges.blocks.map((block) => block.natAddress))].filter((address) => address !== '::');
  if (!addresses.includes(query.address)) {
    if (addresses.length === 0) return `node ${node} translates nothing`;
    return `node ${node} translates to ${addresses.join(' and ')}, not to ${query.address}`;
  }
  const range = `the NAT ports ${natPorts.first}-${natPorts.last} of node ${node}`;
  if (query.port < natPorts.first || query.port > natPorts.last) {
    return `port ${query.port} is outside of ${range}: it belongs to the node's own sockets and services`;
  }
  const block = Math.floor((query.port - natPorts.first) / blockSize);
  const first = natPorts.first + block * blockSize;
  return `port ${query.port} is in block ${block} (${first}-${first + blockSize - 1}) of ${range}, which no pod owns`;
}
