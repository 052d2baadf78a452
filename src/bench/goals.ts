// What is compared with what, and what is to be reached.
import type { Test } from './latency.js';
import type { PeerName } from './peers.js';

/** A ratio of speeds: the reference's time divided by the subject's, so that more is better. */
export interface Comparison {
  readonly name: string;
  readonly subject: PeerName;
  readonly reference: PeerName;
  readonly test: Test;
  /** Least ratio; absent where the ratio only tells something. */
  readonly goal?: number;
}

/** One peer against itself: what differs here is noise. */
export const SELF_CHECKS: readonly Comparison[] = [
  { name: 'self-check: one pair twice', subject: 'raw-again', reference: 'raw', test: 'rr' },
  { name: 'self-check: one pair twice', subject: 'raw-again', reference: 'raw', test: 'crr' },
];

export const COMPARISONS: readonly Comparison[] = [
  { name: 'same node / raw veth', subject: 'same-node', reference: 'raw', test: 'rr', goal: 0.96 },
  { name: 'same node / raw veth', subject: 'same-node', reference: 'raw', test: 'crr', goal: 0.95 },
  { name: 'cross node / node to node', subject: 'cross-node', reference: 'host-host', test: 'rr', goal: 0.9 },
  { name: 'cross node / node to node', subject: 'cross-node', reference: 'host-host', test: 'crr', goal: 0.885 },
  { name: 'island / flat', subject: 'island', reference: 'flat', test: 'rr', goal: 0.99 },
  { name: 'island / flat', subject: 'island', reference: 'flat', test: 'crr', goal: 0.97 },
  { name: 'island / masquerade', subject: 'island', reference: 'masquerade', test: 'rr', goal: 1.17 },
  { name: 'island / masquerade', subject: 'island', reference: 'masquerade', test: 'crr', goal: 1.25 },
  { name: 'flat / kernel routing', subject: 'flat', reference: 'routed', test: 'rr' },
  { name: 'flat / kernel routing', subject: 'flat', reference: 'routed', test: 'crr' },
];
