// What a run of the benchmark of Services found: every sample, and what follows from them.
import type { Missing } from '../bed.js';
import type { CostAnswer } from '../program-cost.js';
import type { BenchReport, Result } from '../report.js';
import type { ServiceSection } from './goals.js';
import type { ServiceLatencySample } from './latency.js';
import type { MaglevSample } from './maglev.js';
import type { NodePortSample } from './node-port.js';
import type { ProgrammingSamples } from './programming.js';
import type { ReplacementSample } from './replacement.js';
import type { SharedBackendSample } from './shared-backend.js';

export type ServiceResult = Result<ServiceSection | 'self-check'>;

/** What was not asked for, or could not be measured, is empty or absent. */
export interface ServiceSamples {
  readonly maglev: readonly MaglevSample[];
  readonly programs: readonly CostAnswer[];
  readonly programming?: ProgrammingSamples;
  readonly latency: readonly ServiceLatencySample[];
  readonly sharedBackend: readonly SharedBackendSample[];
  readonly replacement: readonly ReplacementSample[];
  readonly nodePort: readonly NodePortSample[];
}

export interface ServiceBenchReport extends Pick<BenchReport, 'apiVersion' | 'started' | 'seconds' | 'machine'> {
  readonly kind: 'ServiceBenchReport';
  readonly settings: { readonly rounds: number; readonly sections: readonly ServiceSection[] };
  readonly missing: readonly Missing[];
  readonly notes: readonly string[];
  readonly results: readonly ServiceResult[];
  readonly samples: ServiceSamples;
}
