// What the benchmark of whole paths measures, before anything follows from it.
import type { Section } from './goals.js';
import type { LatencySample } from './latency.js';
import type { MemorySample } from './memory.js';
import type { CostAnswer } from './program-cost.js';
import type { Result } from './report.js';
import type { StreamSample } from './streams.js';
import type { ThroughputSample } from './throughput.js';

export type PathResult = Result<Section | 'self-check'>;

export interface Samples {
  readonly latency: readonly LatencySample[];
  readonly streams: readonly StreamSample[];
  readonly packets: readonly ThroughputSample[];
  readonly programs: readonly CostAnswer[];
  readonly memory: readonly MemorySample[];
}
