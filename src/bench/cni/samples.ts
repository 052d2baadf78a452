// What the benchmark of the CNI plugin measures, before anything follows from it.
import type { Result } from '../report.js';
import type { CniSection } from './goals.js';
import type { CniSample } from './request.js';

export type CniResult = Result<CniSection>;

export interface CniSamples {
  readonly requests: readonly CniSample[];
}
