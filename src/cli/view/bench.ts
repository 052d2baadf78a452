// A benchmark's report as rows of a table.
import type { BenchReport, PeerTime, Result } from '../../bench/report.js';
import type { Noun } from '../output.js';

export interface ResultRow {
  readonly section: string;
  readonly name: string;
  readonly what: string;
  readonly median: string;
  readonly spread: string;
  readonly goal: string;
  readonly met: string;
}

export interface PeerRow {
  readonly peer: string;
  readonly test: string;
  readonly p50: string;
  readonly spread: string;
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
  ],
};

export const PEERS: Noun = {
  kind: 'BenchReport',
  empty: '',
  columns: [
    { header: 'PEER', path: 'peer' },
    { header: 'TEST', path: 'test' },
    { header: 'P50 US', path: 'p50' },
    { header: 'QUARTILES', path: 'spread' },
    { header: 'RUNS WITH ERRORS', path: 'troubled' },
    { header: 'WHAT IT IS', path: 'title' },
  ],
};

const DIGITS = { ratio: 3, ms: 2, us: 2, ns: 1, MB: 1, bytes: 0, '%': 3, count: 0 } as const;
/** Units that go without saying. */
const UNNAMED: readonly string[] = ['ratio', 'count'];

/** A result that is missing shows why in place of its figures. */
export function resultRow({ section, name, what, unit, spread, goal, met, note }: Result<string>): ResultRow {
  const figure = (value: number): string => value.toFixed(DIGITS[unit]);
  const suffix = UNNAMED.includes(unit) ? '' : ` ${unit}`;
  const signs = { 'at-least': '>=', 'at-most': '<=', one: '=' } as const;
  return {
    section,
    name,
    what,
    median: spread ? `${figure(spread.median)}${suffix}` : '-',
    spread: spread ? `${figure(spread.low)} - ${figure(spread.high)}` : (note ?? '-'),
    goal: goal ? `${signs[goal.kind]} ${goal.value}${suffix}` : '-',
    met: met === undefined ? '-' : met ? 'yes' : 'no',
  };
}

export function peerRow({ peer, test, title, spread, troubled }: PeerTime): PeerRow {
  return {
    peer,
    test,
    p50: spread.median.toFixed(2),
    spread: `${spread.low.toFixed(2)} - ${spread.high.toFixed(2)}`,
    troubled: `${troubled} of ${spread.count}`,
    title,
  };
}

/** What a reader must know before the figures. */
export function describeRun({ machine, settings, masquerade, missing, seconds }: BenchReport): string[] {
  return [
    `kernel ${machine.kernel}, ${machine.processor}, ${machine.cpus} CPUs; all on CPU ${machine.cpu}, real time`,
    `${settings.rounds} rounds of ${settings.runSeconds} s a run, in random order, ${seconds} s in all`,
    'rr: request and response; crr: connect, request, response, close. Ratios are of p50 times, paired by round',
    ...(masquerade === undefined ? [] : [`masquerade: ${masquerade}`]),
    ...missing.map(({ name, reason }) => `missing: ${name}: ${reason}`),
  ];
}
