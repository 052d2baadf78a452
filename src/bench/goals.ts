// What is compared with what, and what is to be reached.
import type { Test } from './clients.js';
import type { PeerName } from './peers.js';

/** Parts of the benchmark that can be asked for alone. */
export const SECTIONS = [
  'same-node',
  'cross-node',
  'island',
  'masquerade',
  'ipv6',
  'stream',
  'packets',
  'programs',
  'memory',
] as const;
export type Section = (typeof SECTIONS)[number];

/** A ratio of speeds: the reference's time divided by the subject's, so that more is better. */
export interface Comparison {
  readonly section: Section;
  readonly subject: PeerName;
  readonly reference: PeerName;
  readonly test: Test;
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
  { section: 'ipv6', subject: 'same-node-ipv6', reference: 'raw-ipv6', test: 'rr' },
  { section: 'ipv6', subject: 'same-node-ipv6', reference: 'raw-ipv6', test: 'crr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'flat-ipv6', test: 'rr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'flat-ipv6', test: 'crr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'island', test: 'rr' },
  { section: 'ipv6', subject: 'island-ipv6', reference: 'island', test: 'crr' },
  { section: 'stream', subject: 'no-tso', reference: 'no-tso-ungrouped', test: 'rr' },
];

/** One peer against itself: what differs here is noise. */
export const SELF_CHECK = { subject: 'raw-again', reference: 'raw' } as const;

/** Bytes a second of one connection on one CPU, as ratios. The node of `same-node` and `cross-node` has BIG TCP. */
export const STREAM_COMPARISONS: readonly Omit<Comparison, 'section' | 'test'>[] = [
  { subject: 'same-node', reference: 'raw', goal: 1.25 },
  { subject: 'same-node-ipv6', reference: 'raw-ipv6', goal: 1.25 },
  { subject: 'raw-big', reference: 'raw' },
  { subject: 'raw-big-ipv6', reference: 'raw-ipv6' },
  { subject: 'same-node', reference: 'raw-big' },
  { subject: 'same-node-ipv6', reference: 'raw-big-ipv6' },
  { subject: 'cross-node', reference: 'host-host' },
  { subject: 'no-tso', reference: 'no-tso-ungrouped', goal: 1.9 },
  { subject: 'island', reference: 'flat' },
  { subject: 'island', reference: 'masquerade' },
];

/** Packets a second on one CPU, as ratios of speeds. */
export const PACKET_COMPARISONS: readonly Omit<Comparison, 'section' | 'test'>[] = [
  { subject: 'island', reference: 'masquerade', goal: 1.8 },
  { subject: 'island', reference: 'flat' },
  { subject: 'flat', reference: 'routed' },
];

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
