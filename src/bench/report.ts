// What a run of the benchmark found: every sample, and what follows from them.
import type { Missing } from './bed.js';
import type { Test } from './clients.js';
import type { Section } from './goals.js';
import type { LatencySample } from './latency.js';
import type { MemorySample } from './memory.js';
import type { CostAnswer } from './program-cost.js';
import type { Machine } from './sections.js';
import type { Spread } from './statistics.js';
import type { ThroughputSample } from './throughput.js';

export type Unit = 'ratio' | 'ms' | 'us' | 'ns' | 'MB' | 'bytes' | '%' | 'count';

export interface Result<S extends string = Section | 'self-check'> {
  readonly section: S;
  readonly name: string;
  readonly what: string;
  readonly unit: Unit;
  /** Absent when nothing could be measured; `note` says why, and otherwise what to know of the figure. */
  readonly spread?: Spread;
  /** `at-least` and `at-most` a value; `one` is 1.00 within the spread. */
  readonly goal?: { readonly kind: 'at-least' | 'at-most' | 'one'; readonly value: number };
  readonly met?: boolean;
  readonly note?: string;
}

export interface PeerTime {
  readonly peer: string;
  readonly title: string;
  readonly test: Test;
  /** Microseconds, p50 of a run. */
  readonly spread: Spread;
  /** Runs in which a transaction failed or a SYN was sent again. */
  readonly troubled: number;
}

export interface Samples {
  readonly latency: readonly LatencySample[];
  readonly packets: readonly ThroughputSample[];
  readonly programs: readonly CostAnswer[];
  readonly memory: readonly MemorySample[];
}

export interface BenchReport {
  readonly apiVersion: 'isthmus.dev/v1';
  readonly kind: 'BenchReport';
  /** RFC 3339. */
  readonly started: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly settings: { readonly rounds: number; readonly runSeconds: number; readonly sections: readonly Section[] };
  /** What netfilter's peer was set up with. */
  readonly masquerade?: string;
  readonly missing: readonly Missing[];
  readonly results: readonly Result[];
  readonly peers: readonly PeerTime[];
  readonly samples: Samples;
}
