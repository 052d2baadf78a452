// The report of the benchmark of the CNI plugin as rows of a table.
import type { CniBenchReport } from '../../bench/cni/report.js';
import type { Noun } from '../output.js';
import { NAT_RESULTS } from './bench-nat.js';

export const CNI_RESULTS: Noun = { ...NAT_RESULTS, kind: 'CniBenchReport' };

/** What a reader must know before the figures. */
export function describeCniRun({ machine, settings, missing, notes, seconds }: CniBenchReport): string[] {
  return [
    `kernel ${machine.kernel}, ${machine.processor}, ${machine.cpus} CPUs, all of them in use`,
    `${settings.rounds} rounds, in random order, ${seconds} s in all; a time is one of a round, ratios are paired by round`,
    ...notes.map((note) => `note: ${note}`),
    ...missing.map(({ name, reason }) => `missing: ${name}: ${reason}`),
  ];
}
