// A translated flow as people see it: who is inside, what the remote sees, and who the remote is.
import type { AddressFilter } from '../address-port.js';
import type { FlowItem, Translation } from './flow.js';
import type { PodName } from './pods.js';

/** An item of TranslationList: the remote sees `outside`, the packets belong to `inside`. */
export interface TranslationItem {
  readonly node: string;
  readonly pod?: PodName;
  readonly protocol: string;
  readonly translation: Translation;
  readonly inside: AddressFilter;
  readonly outside: AddressFilter;
  readonly remote: AddressFilter;
  /** The service address that the opener used, when the source is translated too. */
  readonly frontend?: AddressFilter;
  readonly state: string;
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly reply?: { readonly packets: bigint; readonly bytes: bigint };
}

/** The translation of a flow; undefined when nothing is rewritten. */
export function viewTranslation(flow: FlowItem): TranslationItem | undefined {
  const sides = sidesOf(flow);
  if (sides === undefined) return undefined;
  const { node, pod, protocol, translation, state, ageSeconds, idleSeconds, packets, bytes, reply } = flow;
  const counters = { state, ageSeconds, idleSeconds, packets, bytes, ...(reply === undefined ? {} : { reply }) };
  return { node, ...(pod === undefined ? {} : { pod }), protocol, translation, ...sides, ...counters };
}

type Sides = Pick<TranslationItem, 'inside' | 'outside' | 'remote' | 'frontend'>;

function sidesOf({ translation, source, destination, translated }: FlowItem): Sides | undefined {
  if (translation === 'none') return undefined;
  if (translation === 'destination') return { inside: translated.destination, outside: destination, remote: source };
  const sides = { inside: source, outside: translated.source, remote: translated.destination };
  return translation === 'both' ? { ...sides, frontend: destination } : sides;
}

/** Whether a tuple is what was typed; a filter without a port takes every port. */
export function matches(tuple: AddressFilter, filter: AddressFilter): boolean {
  return tuple.address === filter.address && (filter.port === undefined || tuple.port === filter.port);
}

/** What --proto takes; `icmp` is that of either family. */
export const PROTOCOL_NAMES = ['tcp', 'udp', 'sctp', 'icmp'] as const;

export function isProtocol(protocol: string, wanted: string): boolean {
  return protocol === wanted || (wanted === 'icmp' && protocol === 'icmpv6');
}
