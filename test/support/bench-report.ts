// Reports of benchmarks that nobody ran, for tests of what is done with them.
import type { AnyResult, BenchReport, PathTime } from '../../src/bench/report.js';
import { type Spread, summarize } from '../../src/bench/statistics.js';

/** The spread of these rounds. */
export function spreadOf(...values: readonly number[]): Spread {
  const spread = summarize(values);
  if (spread === undefined) throw new Error('a spread needs values');
  return spread;
}

/** A ratio of the benchmark of paths. */
export function aResult(values: readonly number[], facts: Partial<AnyResult> = {}): AnyResult {
  const named = { section: 'island', name: 'island / flat', what: 'crr', path: 'island', peer: 'flat' } as const;
  return { ...named, unit: 'ratio', spread: spreadOf(...values), ...facts };
}

/** Times of a path around one. */
export function aTime(median: number, facts: Partial<PathTime> = {}): PathTime {
  const times = (factor: number): Spread => spreadOf(median * factor * 0.99, median * factor, median * factor * 1.01);
  const figures = { mean: times(1.1), p50: times(1), p90: times(1.2), p99: times(2), p999: times(4) };
  const troubles = { runs: 3, errors: 0, retransmits: 0, synRetransmits: 0, troubled: 0 };
  return { path: 'island', title: 'ours: pod to outside, island', test: 'crr', ...figures, ...troubles, ...facts };
}

export function aReport(facts: Partial<BenchReport> = {}): BenchReport {
  return {
    apiVersion: 'isthmus.dev/v1',
    kind: 'BenchReport',
    benchmark: 'paths',
    started: '2026-11-22T10:00:00.000Z',
    seconds: 150,
    machine: { kernel: '6.18.44', processor: 'A CPU', cpus: 2, cpu: 1, memoryBytes: 8e9, load: 0.4 },
    settings: { quick: true, rounds: 9, runSeconds: 0.4, sections: ['island'] },
    versions: { isthmus: '0.1.0', node: 'v24.0.0' },
    missing: [],
    notes: [],
    results: [],
    times: [],
    samples: {},
    ...facts,
  };
}
