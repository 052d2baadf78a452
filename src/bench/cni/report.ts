// What a run of the benchmark of the CNI plugin found: every sample, and what follows from them.
import type { Missing } from '../bed.js';
import type { BenchReport, Result } from '../report.js';
import type { CniSection } from './goals.js';
import type { CniSample } from './request.js';

export type CniResult = Result<CniSection>;

export interface CniSamples {
  readonly requests: readonly CniSample[];
}

export interface CniBenchReport extends Pick<BenchReport, 'apiVersion' | 'started' | 'seconds' | 'machine'> {
  readonly kind: 'CniBenchReport';
  readonly settings: { readonly rounds: number; readonly sections: readonly CniSection[] };
  readonly missing: readonly Missing[];
  readonly notes: readonly string[];
  readonly results: readonly CniResult[];
  readonly samples: CniSamples;
}
