// The report of the benchmark of Services as rows of a table.
import type { ServiceBenchReport } from '../../bench/service/report.js';
import type { Noun } from '../output.js';
import { NAT_RESULTS } from './bench-nat.js';

export const SERVICE_RESULTS: Noun = { ...NAT_RESULTS, kind: 'ServiceBenchReport' };

/** What a reader must know before the figures. */
export function describeServiceRun({ machine, settings, missing, notes, seconds }: ServiceBenchReport): string[] {
  return [
    `kernel ${machine.kernel}, ${machine.processor}, ${machine.cpus} CPUs; connections on CPU ${machine.cpu}, real time`,
    `${settings.rounds} rounds, in random order, ${seconds} s in all; ratios and differences are paired by round`,
    'rr: request and response; crr: connect, request, response, close. More than 1 is faster than the other',
    ...notes.map((note) => `note: ${note}`),
    ...missing.map(({ name, reason }) => `missing: ${name}: ${reason}`),
  ];
}
