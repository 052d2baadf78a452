// A flow as people see it: one item made of the two entries that the datapath keeps.
import type { IpAddress } from '../../model/address.js';
import type { AddressFilter } from '../address-port.js';
import type { FlagDecoder } from './flags.js';
import { type PodIndex, type PodName, podName } from './pods.js';

/** struct flow_key, as decoded: ports in host order. */
export interface FlowKey {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
}

/** struct flow, as decoded: times in seconds of the monotonic clock. */
export interface FlowValue {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly source_port: number;
  readonly destination_port: number;
  readonly ifindex_in: number;
  readonly ifindex_out: number;
  readonly next_hop: IpAddress;
  readonly flags: number;
  readonly mtu: number;
  readonly seen: number;
  readonly created: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface FlowEntry {
  readonly key: FlowKey;
  readonly value: FlowValue;
}

export type Translation = 'none' | 'source' | 'destination' | 'both';

/** An item of FlowList. Addresses without a port belong to ICMP, whose identifier is the sender's port. */
export interface FlowItem {
  readonly node: string;
  /** The pod of this node that opened the flow, else the one that answers it. */
  readonly pod?: PodName;
  readonly protocol: string;
  /** As the packets of the opener reach the node. */
  readonly source: AddressFilter;
  readonly destination: AddressFilter;
  /** As they leave it. */
  readonly translated: { readonly source: AddressFilter; readonly destination: AddressFilter };
  readonly translation: Translation;
  readonly state: string;
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  /** Of the opener; bytes of IP packets. */
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Of the answerer; absent when the reply entry is gone. */
  readonly reply?: { readonly packets: bigint; readonly bytes: bigint };
  readonly flags: readonly string[];
  readonly device: { readonly in: number; readonly out: number };
  readonly nextHop: IpAddress;
  readonly mtu: number;
}

/** What turns entries into items: the node, its pods, its clock and the names of the flags. */
export interface FlowViewer {
  readonly node: string;
  readonly pods: PodIndex;
  /** Seconds of CLOCK_MONOTONIC. */
  readonly now: number;
  readonly flags: FlagDecoder;
}

/** Whether the entry serves the answering direction: it is part of another entry's item. */
export function isReply(entry: FlowEntry, flags: FlagDecoder): boolean {
  return flags(entry.value.flags).includes('reply');
}

/** The item of an entry of the opening direction, without its reply. */
export function viewFlow({ key, value }: FlowEntry, viewer: FlowViewer): FlowItem {
  const flags = viewer.flags(value.flags);
  const owner = viewer.pods.get(key.source) ?? viewer.pods.get(value.destination);
  return {
    node: viewer.node,
    ...(owner === undefined ? {} : { pod: podName(owner) }),
    protocol: protocolName(key.protocol),
    ...tuples(key.protocol, key),
    translated: tuples(key.protocol, value),
    translation: translationOf(flags),
    state: stateOf(key.protocol, flags),
    ageSeconds: Math.max(0, viewer.now - value.created),
    idleSeconds: Math.max(0, viewer.now - value.seen),
    packets: value.packets,
    bytes: value.bytes,
    flags,
    device: { in: value.ifindex_in, out: value.ifindex_out },
    nextHop: value.next_hop,
    mtu: value.mtu,
  };
}

/** Adds what the other direction counted; the flow is as idle as its livelier side. */
export function addReply<T extends FlowItem>(flow: T, reply: FlowValue | undefined, now: number): T {
  if (reply === undefined) return flow;
  const idleSeconds = Math.min(flow.idleSeconds, Math.max(0, now - reply.seen));
  return { ...flow, idleSeconds, reply: { packets: reply.packets, bytes: reply.bytes } };
}

/** The key of the other direction: the rewritten tuple, reversed. */
export function pairKey(key: FlowKey, value: Pick<FlowValue, keyof FlowKey & keyof FlowValue>): FlowKey {
  return {
    source: value.destination,
    destination: value.source,
    source_port: value.destination_port,
    destination_port: value.source_port,
    protocol: key.protocol,
  };
}

const ICMP: ReadonlySet<number> = new Set([1, 58]);
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
]);

/** The usual name of an IP protocol, else its number. */
export function protocolName(protocol: number): string {
  return PROTOCOLS.get(protocol) ?? String(protocol);
}

type Tuple = Pick<FlowKey, 'source' | 'destination' | 'source_port' | 'destination_port'>;

function tuples(protocol: number, tuple: Tuple): { source: AddressFilter; destination: AddressFilter } {
  const source = { address: tuple.source, port: tuple.source_port };
  if (ICMP.has(protocol)) return { source, destination: { address: tuple.destination } };
  return { source, destination: { address: tuple.destination, port: tuple.destination_port } };
}

function translationOf(flags: readonly string[]): Translation {
  const source = flags.includes('rewrite_source');
  const destination = flags.includes('rewrite_destination');
  if (source && destination) return 'both';
  return source ? 'source' : destination ? 'destination' : 'none';
}

/** One word: TCP by what was seen of its opening and closing, the others by whether both sides have sent. */
export function stateOf(protocol: number, flags: readonly string[]): string {
  const answered = flags.includes('seen_reply');
  if (protocol !== 6) return answered ? 'two-way' : 'one-way';
  const fins = Number(flags.includes('fin_original')) + Number(flags.includes('fin_reply'));
  if (flags.includes('reset_valid') || fins === 2) return 'closed';
  if (flags.includes('reset') || fins === 1) return 'closing';
  return answered ? 'established' : 'opening';
}
