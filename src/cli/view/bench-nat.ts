// The report of the benchmark of translation as rows of a table.
import type { NatBenchReport } from '../../bench/nat/report.js';
import type { Result } from '../../bench/report.js';
import type { Noun } from '../output.js';
import type { ResultRow } from './bench.js';
import { RESULTS, resultRow } from './bench.js';

export interface NatResultRow extends ResultRow {
  readonly note: string;
}

export const NAT_RESULTS: Noun = {
  ...RESULTS,
  kind: 'NatBenchReport',
  columns: [...RESULTS.columns, { header: 'NOTE', path: 'note' }],
};

/** A note is what to know of a figure; without a figure it is why there is none, and stands in its place. */
export function natResultRow(result: Result<string>): NatResultRow {
  return { ...resultRow(result), note: result.spread === undefined ? '' : (result.note ?? '') };
}

/** What a reader must know before the figures. */
export function describeNatRun({ machine, settings, masquerade, missing, notes, seconds }: NatBenchReport): string[] {
  return [
    `kernel ${machine.kernel}, ${machine.processor}, ${machine.cpus} CPUs; packets on CPU ${machine.cpu}, real time`,
    `${settings.rounds} rounds, in random order, ${seconds} s in all; ratios and differences are paired by round`,
    ...(masquerade === undefined ? [] : [`masquerade: ${masquerade}`]),
    ...notes.map((note) => `note: ${note}`),
    ...missing.map(({ name, reason }) => `missing: ${name}: ${reason}`),
  ];
}
