// The parts of the benchmark of translation, and what is to be reached.

/** Parts that can be asked for alone, in the order in which they run: the last one fills the table and ends an agent. */
export const NAT_SECTIONS = [
  'programs',
  'packets',
  'new-flows',
  'port-reuse',
  'many-flows',
  'probes',
  'journal',
  'history',
  'removal',
] as const;
export type NatSection = (typeof NAT_SECTIONS)[number];

export const NAT_GOALS = {
  /** Most nanoseconds of an established translated packet above an untranslated one, in the cache. */
  programs: 20,
  /** Most of what a packet costs, as a multiple of flat's. */
  packets: { '1 k flows': 1.03, '50 k flows': 1.18 },
  /** Least multiple of the packets a second that netfilter's masquerade passes. */
  masquerade: { '50 k flows': 2.05, 'new flows': 3.3 },
  /** Least share of flat's connections a second, by pods. */
  portReuse: { 1: 0.97, 8: 0.93 },
  /** Most SYNs sent again, in all runs together. */
  synRetransmits: 0,
  /** Most packets lost, of all that were sent. */
  lost: 0,
  /** Most nanoseconds an entry of a walk. */
  walk: 120,
  /** Most microseconds that a walk adds to the longest delay of a packet. */
  delay: 1000,
  /** Questions about the past: least share of right answers, per cent, and most microseconds of one. */
  history: { right: 100, microseconds: 50 },
} as const;
