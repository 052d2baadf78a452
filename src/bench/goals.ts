// What is compared with what, and what is to be reached.
import type { Test } from './clients.js';
import type { PeerName } from './peers.js';
import type { PacketKind } from './throughput.js';

/** Parts of the benchmark that can be asked for alone. */
export const SECTIONS = [
  'same-node',
  'cross-node',
  'island',
  'masquerade',
  'bridge',
  'ipv6',
  'first-packet',
  'parallel',
  'stream',
  'packets',
  'new-flows',
  'programs',
  'memory',
] as const;
export type Section = (typeof SECTIONS)[number];

/** Parts that a quick run leaves out, unless they are asked for. */
export const LONG_SECTIONS: readonly Section[] = ['parallel', 'stream', 'new-flows'];

/** A ratio of speeds: the reference's time divided by the subject's, so that more is better. */
export interface Comparison {
  readonly section: Section;
  readonly subject: PeerName;
  readonly reference: PeerName;
  readonly test: Test;
  /** Connections with a request each under way: then it is transactions a second that are compared. */
  readonly flows?: number;
  /** Least ratio; absent where the ratio only tells something. */
  readonly goal?: number;
}

export const COMPARISONS: readonly Comparison[] = [
  { section: 'same-node', subject: 'same-node', reference: 'raw', test: 'rr', goal: 0.96 },
  { section: 'same-node', subject: 'same-node', reference: 'raw', test: 'crr', goal: 0.95 },
  { section: 'same-node', subject: 'same-node', reference: 'raw', test: 'udp_rr' },
  { section: 'same-node', subject: 'bare-same', reference: 'raw', test: 'rr' },
  { section: 'same-node', subject: 'bare-same', reference: 'raw', test: 'crr' },
  { section: 'same-node', subject: 'same-node', reference: 'bare-same', test: 'rr' },
  { section: 'same-node', subject: 'same-node', reference: 'bare-same', test: 'crr' },
  { section: 'cross-node', subject: 'cross-node', reference: 'host-host', test: 'rr', goal: 0.9 },
  { section: 'cross-node', subject: 'cross-node', reference: 'host-host', test: 'crr', goal: 0.885 },
  { section: 'cross-node', subject: 'bare-cross', reference: 'host-host', test: 'rr' },
  { section: 'cross-node', subject: 'bare-cross', reference: 'host-host', test: 'crr' },
  { section: 'cross-node', subject: 'cross-node', reference: 'bare-cross', test: 'rr' },
  { section: 'cross-node', subject: 'cross-node', reference: 'bare-cross', test: 'crr' },
  { section: 'island', subject: 'island', reference: 'flat', test: 'rr', goal: 0.99 },
  { section: 'island', subject: 'island', reference: 'flat', test: 'crr', goal: 0.97 },
  { section: 'island', subject: 'island', reference: 'flat', test: 'udp_rr', goal: 0.995 },
  { section: 'masquerade', subject: 'island', reference: 'masquerade', test: 'rr', goal: 1.17 },
  { section: 'masquerade', subject: 'island', reference: 'masquerade', test: 'crr', goal: 1.25 },
  { section: 'masquerade', subject: 'island', reference: 'masquerade', test: 'udp_rr' },
  { section: 'masquerade', subject: 'flat', reference: 'routed', test: 'rr' },
  { section: 'masquerade', subject: 'flat', reference: 'routed', test: 'crr' },
  { section: 'bridge', subject: 'same-node', reference: 'bridge-same', test: 'rr' },
  { section: 'bridge', subject: 'same-node', reference: 'bridge-same', test: 'crr' },
  { section: 'bridge', subject: 'cross-node', reference: 'bridge-cross', test: 'rr' },
  { section: 'bridge', subject: 'cross-node', reference: 'bridge-cross', test: 'crr' },
  { section: 'bridge', subject: 'island', reference: 'bridge-out', test: 'rr' },
  { section: 'bridge', subject: 'island', reference: 'bridge-out', test: 'crr' },
  { section: 'ipv6', subject: 'same-node-ipv6', reference: 'raw-ipv6', test: 'rr' },
  { section: 'ipv6', subject: 'same-node-ipv6', reference: 'raw-ipv6', test: 'crr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'flat-ipv6', test: 'rr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'flat-ipv6', test: 'crr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'island', test: 'rr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'island', test: 'crr' },
  { section: 'first-packet', subject: 'same-node', reference: 'raw', test: 'udp_first' },
  { section: 'first-packet', subject: 'cross-node', reference: 'host-host', test: 'udp_first' },
  { section: 'first-packet', subject: 'island', reference: 'flat', test: 'udp_first' },
  { section: 'first-packet', subject: 'island', reference: 'masquerade', test: 'udp_first' },
  { section: 'first-packet', subject: 'flat', reference: 'routed', test: 'udp_first' },
  { section: 'first-packet', subject: 'same-node', reference: 'bridge-same', test: 'udp_first' },
  { section: 'first-packet', subject: 'cross-node', reference: 'bridge-cross', test: 'udp_first' },
  { section: 'first-packet', subject: 'island', reference: 'bridge-out', test: 'udp_first' },
  { section: 'stream', subject: 'no-tso', reference: 'no-tso-ungrouped', test: 'rr' },
  ...inParallel(8),
  ...inParallel(64),
];

function inParallel(flows: number): Comparison[] {
  const pairs = [
    ['same-node', 'raw'],
    ['cross-node', 'host-host'],
    ['island', 'flat'],
    ['island', 'masquerade'],
    ['same-node', 'bridge-same'],
    ['island', 'bridge-out'],
  ] as const;
  return pairs.map(([subject, reference]) => ({ section: 'parallel', subject, reference, test: 'rr', flows }));
}

/** A ratio of bytes a second. */
export interface StreamComparison extends Pick<Comparison, 'section' | 'subject' | 'reference' | 'goal'> {
  /** Connections that share the CPU. */
  readonly flows: number;
}

export const STREAM_COMPARISONS: readonly StreamComparison[] = [
  { section: 'stream', subject: 'same-node', reference: 'raw', flows: 1, goal: 1.25 },
  { section: 'stream', subject: 'raw-big', reference: 'raw', flows: 1 },
  { section: 'stream', subject: 'raw-big-ipv6', reference: 'raw-ipv6', flows: 1 },
  { section: 'stream', subject: 'same-node', reference: 'raw-big', flows: 1 },
  { section: 'stream', subject: 'same-node-ipv6', reference: 'raw-big-ipv6', flows: 1 },
  { section: 'stream', subject: 'no-tso', reference: 'no-tso-ungrouped', flows: 1, goal: 1.9 },
  { section: 'stream', subject: 'bare-same', reference: 'raw', flows: 1 },
  { section: 'stream', subject: 'cross-node', reference: 'host-host', flows: 1 },
  { section: 'stream', subject: 'island', reference: 'flat', flows: 1 },
  { section: 'stream', subject: 'island', reference: 'masquerade', flows: 1 },
  { section: 'stream', subject: 'flat', reference: 'routed', flows: 1 },
  { section: 'stream', subject: 'same-node', reference: 'bridge-same', flows: 1 },
  { section: 'stream', subject: 'cross-node', reference: 'bridge-cross', flows: 1 },
  { section: 'stream', subject: 'island', reference: 'bridge-out', flows: 1 },
  { section: 'stream', subject: 'same-node-ipv6', reference: 'raw-ipv6', flows: 1, goal: 1.25 },
  { section: 'stream', subject: 'island-ipv6', reference: 'flat-ipv6', flows: 1 },
  { section: 'stream', subject: 'same-node-9000', reference: 'raw-9000', flows: 1 },
  { section: 'stream', subject: 'cross-node-9000', reference: 'host-host-9000', flows: 1 },
  { section: 'stream', subject: 'island-9000', reference: 'flat-9000', flows: 1 },
  { section: 'stream', subject: 'island-9000', reference: 'masquerade-9000', flows: 1 },
  { section: 'stream', subject: 'raw-9000', reference: 'raw', flows: 1 },
  { section: 'stream', subject: 'same-node-9000', reference: 'same-node', flows: 1 },
  { section: 'stream', subject: 'island-9000', reference: 'island', flows: 1 },
  { section: 'parallel', subject: 'same-node', reference: 'raw', flows: 8 },
  { section: 'parallel', subject: 'cross-node', reference: 'host-host', flows: 8 },
  { section: 'parallel', subject: 'island', reference: 'flat', flows: 8 },
  { section: 'parallel', subject: 'island', reference: 'masquerade', flows: 8 },
  { section: 'parallel', subject: 'island', reference: 'bridge-out', flows: 8 },
];

/** One peer against itself: what differs here is noise. */
export const SELF_CHECK = { subject: 'raw-again', reference: 'raw' } as const;

/** Packets a second on one CPU, as ratios of speeds. */
export interface PacketComparison extends Pick<Comparison, 'subject' | 'reference' | 'goal'> {
  readonly section: 'packets' | 'new-flows';
  readonly kind: PacketKind;
}

export const PACKET_COMPARISONS: readonly PacketComparison[] = [
  { section: 'packets', kind: '1 flow', subject: 'island', reference: 'masquerade', goal: 1.8 },
  { section: 'packets', kind: '1 flow', subject: 'island', reference: 'flat' },
  { section: 'packets', kind: '1 flow', subject: 'flat', reference: 'routed' },
  { section: 'packets', kind: '1 flow', subject: 'island', reference: 'bridge-out' },
  { section: 'new-flows', kind: 'new flows', subject: 'island', reference: 'masquerade' },
  { section: 'new-flows', kind: 'new flows', subject: 'island', reference: 'flat' },
  { section: 'new-flows', kind: 'new flows', subject: 'flat', reference: 'routed' },
  { section: 'new-flows', kind: 'new flows', subject: 'island', reference: 'bridge-out' },
];

/** What the sections compare. */
export function comparisonsOf(sections: readonly Section[]) {
  const isWanted = ({ section }: { readonly section: Section }): boolean => sections.includes(section);
  return {
    latency: COMPARISONS.filter(isWanted),
    streams: STREAM_COMPARISONS.filter(isWanted),
    packets: PACKET_COMPARISONS.filter(isWanted),
  };
}

/** Most nanoseconds of one packet above an empty program, by the names in cost.ts. */
export const PROGRAM_GOALS: Readonly<Record<string, number>> = {
  'flat, same node': 40,
  'flat, from the other node': 40,
  'flat, to outside': 40,
  'flat, from outside': 40,
  'island, to outside': 55,
  'island, from outside': 70,
};

/** Most bytes of an idle agent. */
export const MEMORY_GOAL = 130e6;
