// What the benchmark of Services measures, before anything follows from it.
import type { CostAnswer } from '../program-cost.js';
import type { Result } from '../report.js';
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
