// A report's tables in HTML: the goals that were missed, every result, every time, and where it was measured.
import { formatGoal, formatMedian, formatQuartiles } from '../figure.js';
import type { AnyResult, BenchReport, PathTime } from '../report.js';
import { resetsOf, sentAgain } from '../times.js';
import { escapeHtml } from './escape.js';

/** Cells of a column are texts or figures. */
interface Column {
  readonly title: string;
  readonly figure?: true;
}

const RESULT_COLUMNS: readonly Column[] = [
  { title: 'Section' },
  { title: 'Compared' },
  { title: 'What' },
  { title: 'Median', figure: true },
  { title: 'Quartiles', figure: true },
  { title: 'Rounds', figure: true },
  { title: 'Goal', figure: true },
  { title: 'Met' },
  { title: 'Note' },
];

const TIME_COLUMNS: readonly Column[] = [
  { title: 'Path' },
  { title: 'Test' },
  ...['p50', 'p90', 'p99', 'p99.9', 'Mean'].map((title) => ({ title, figure: true }) as const),
  { title: 'Sent again', figure: true },
  { title: 'Resets', figure: true },
  { title: 'Failed', figure: true },
];

/** What was to be reached and was not. */
export function missedTable({ results }: BenchReport): string {
  const missed = results.filter(({ met }) => met === false);
  return missed.length === 0 ? '' : resultsTable(missed);
}

export function resultsTable(results: readonly AnyResult[]): string {
  return table(RESULT_COLUMNS, results.map(resultCells));
}

function resultCells(result: AnyResult): string[] {
  const { section, name, what, spread, met, note = '' } = result;
  const rounds = spread ? String(spread.count) : '-';
  const verdict = met === undefined ? '' : met ? 'yes' : 'no';
  const compared = name.startsWith(' ') ? `– ${name.trim()}` : name;
  return [
    section,
    compared,
    what,
    formatMedian(result),
    formatQuartiles(result),
    rounds,
    formatGoal(result),
    verdict,
    note,
  ];
}

/** Microseconds. */
export function timesTable(times: readonly PathTime[]): string {
  return table(TIME_COLUMNS, times.map(timeCells));
}

function timeCells(time: PathTime): string[] {
  const { path, title, test, size } = time;
  const figures = [time.p50, time.p90, time.p99, time.p999, time.mean].map(({ median }) => median.toFixed(2));
  const name = title === undefined ? path : `${path}: ${title}`;
  const what = size === undefined ? test : `${test}, ${size.count} ${size.of}`;
  return [name, what, ...figures, sentAgain(time), resetsOf(time), String(time.errors)];
}

/** Machine, versions, settings and what was missing. */
export function factsTable({ machine, settings, versions, missing, notes, started, seconds }: BenchReport): string {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`;
  const effort = `${settings.rounds} rounds${settings.quick ? ' (--quick)' : ''}, ${seconds} s in all`;
  const facts: (readonly [string, string])[] = [
    ['Measured', `${started.replace('T', ' ').replace(/\..*/, ' UTC')}: ${effort}`],
    ['Processor', `${machine.processor}, ${machine.cpus} CPUs, of which CPU ${machine.cpu} was used; ${memory}`],
    ['Kernel', machine.kernel],
    ['Load before', machine.load.toFixed(2)],
    ['Sections', settings.sections.join(', ')],
    ...Object.entries(versions).map(([name, version]) => [name, version] as const),
    ...notes.map((note) => ['Note', note] as const),
    ...missing.map(({ name, reason }) => ['Missing', `${name}: ${reason}`] as const),
  ];
  const rows = facts.map(
    ([name, text]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(text)}</td></tr>`,
  );
  return `<table class="facts">${rows.join('\n')}</table>`;
}

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const classOf = (index: number): string => (columns[index]?.figure ? ' class="figure"' : '');
  const head = columns.map(({ title }, index) => `<th scope="col"${classOf(index)}>${escapeHtml(title)}</th>`).join('');
  const body = rows.map((cells) => {
    const verdict = cells.includes('no') ? ' class="missed"' : '';
    return `<tr${verdict}>${cells.map((cell, index) => `<td${classOf(index)}>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`;
}
