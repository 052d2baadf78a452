// A benchmark's report as rows of tables.
import { formatGoal, formatMedian, formatQuartiles } from '../../bench/figure.js';
import type { AnyResult, BenchReport, PathTime } from '../../bench/report.js';
import { resetsOf, sentAgain } from '../../bench/times.js';
import type { Noun } from '../output.js';

export interface ResultRow {
  readonly section: string;
  readonly name: string;
  readonly what: string;
  readonly median: string;
  readonly spread: string;
  readonly goal: string;
  readonly met: string;
  readonly note: string;
}

export interface TimeRow {
  readonly path: string;
  readonly test: string;
  readonly p50: string;
  readonly spread: string;
  readonly p90: string;
  readonly p99: string;
  readonly p999: string;
  readonly mean: string;
  readonly retransmits: string;
  readonly resets: string;
  readonly troubled: string;
  readonly title: string;
}

export const RESULTS: Noun = {
  kind: 'BenchReport',
  empty: 'No results.',
  columns: [
    { header: 'SECTION', path: 'section' },
    { header: 'COMPARED', path: 'name' },
    { header: 'WHAT', path: 'what' },
    { header: 'MEDIAN', path: 'median' },
    { header: 'QUARTILES', path: 'spread' },
    { header: 'GOAL', path: 'goal' },
    { header: 'MET', path: 'met', colours: { yes: 'green', no: 'red' } },
    { header: 'NOTE', path: 'note' },
  ],
};

export const TIMES: Noun = {
  kind: 'BenchReport',
  empty: '',
  columns: [
    { header: 'PATH', path: 'path' },
    { header: 'TEST', path: 'test' },
    { header: 'P50 US', path: 'p50' },
    { header: 'QUARTILES', path: 'spread' },
    { header: 'P90', path: 'p90' },
    { header: 'P99', path: 'p99' },
    { header: 'P99.9', path: 'p999' },
    { header: 'MEAN', path: 'mean' },
    { header: 'SENT AGAIN', path: 'retransmits' },
    { header: 'RESETS', path: 'resets' },
    { header: 'RUNS WITH ERRORS', path: 'troubled' },
    { header: 'WHAT IT IS', path: 'title' },
  ],
};

/** A note is what to know of a figure; without a figure it is why there is none, and stands in its place. */
export function resultRow(result: AnyResult): ResultRow {
  const { section, name, what, spread, met, note } = result;
  return {
    section,
    name,
    what,
    median: formatMedian(result),
    spread: spread ? formatQuartiles(result) : (note ?? '-'),
    goal: formatGoal(result),
    met: met === undefined ? '-' : met ? 'yes' : 'no',
    note: spread ? (note ?? '') : '',
  };
}

export function timeRow(time: PathTime): TimeRow {
  const { path, test, size, title, p50, p90, p99, p999, mean, troubled } = time;
  return {
    path,
    test: size === undefined ? test : `${test}, ${size.count} ${size.of}`,
    p50: p50.median.toFixed(2),
    spread: `${p50.low.toFixed(2)} - ${p50.high.toFixed(2)}`,
    p90: p90.median.toFixed(2),
    p99: p99.median.toFixed(2),
    p999: p999.median.toFixed(2),
    mean: mean.median.toFixed(2),
    retransmits: sentAgain(time),
    resets: resetsOf(time),
    troubled: `${troubled} of ${time.runs}`,
    title: title ?? '',
  };
}

/** What a reader must know before the figures. */
export function describeRun({ machine, settings, versions, missing, notes, seconds }: BenchReport): string[] {
  const length = settings.runSeconds === undefined ? '' : ` of ${settings.runSeconds} s a run`;
  return [
    `kernel ${machine.kernel}, ${machine.processor}, ${machine.cpus} CPUs; measured on CPU ${machine.cpu}, real time`,
    `${settings.rounds} rounds${length}, in random order, ${seconds} s in all; ratios and differences are paired by round`,
    'rr: request and response; crr: connect, request, response, close; udp_rr: the same with datagrams',
    'udp_first: a datagram that opens a flow, and its answer',
    'ratios above 1 are faster, unless it says cost',
    ...Object.entries(versions).map(([name, version]) => `${name}: ${version}`),
    ...notes.map((note) => `note: ${note}`),
    ...missing.map(({ name, reason }) => `missing: ${name}: ${reason}`),
  ];
}
