// What the benchmark of translation measures, before anything follows from it.
import type { Result } from '../report.js';
import type { NatSection } from './goals.js';
import type { HistorySample } from './history.js';
import type { JournalSample } from './journal.js';
import type { ManyFlowsSample } from './many-flows.js';
import type { NatPacketSample } from './packets.js';
import type { PortReuseSample } from './port-reuse.js';
import type { ProbesAnswer } from './port-search.js';
import type { NatProgramSample } from './programs.js';
import type { RemovalSamples } from './removal.js';

export type NatResult = Result<NatSection>;

/** What was not asked for, or could not be measured, is empty or absent. */
export interface NatSamples {
  readonly programs: readonly NatProgramSample[];
  readonly packets: readonly NatPacketSample[];
  readonly portReuse: readonly PortReuseSample[];
  readonly manyFlows: readonly ManyFlowsSample[];
  readonly probes: readonly ProbesAnswer[];
  readonly journal: readonly JournalSample[];
  readonly history?: HistorySample;
  readonly removal?: RemovalSamples;
}
