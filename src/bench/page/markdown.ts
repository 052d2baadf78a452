// Reports as a page of the documentation: the machine, goals beside figures, charts as files beside it.
import { formatGoal, formatMedian, formatQuartiles } from '../figure.js';
import type { AnyResult, BenchReport, PathTime } from '../report.js';
import { resetsOf, sentAgain } from '../times.js';
import { METHOD, TITLES } from './html.js';
import { reasonOf } from './reasons.js';

/** A chart that is a file. */
export interface ChartFile {
  readonly title: string;
  readonly caption: string;
  /** From the page. */
  readonly path: string;
}

export interface ReportPage {
  readonly report: BenchReport;
  /** That the report was read from, from the project's folder. */
  readonly source: string;
  readonly charts: readonly ChartFile[];
}

/** The whole page. */
export function formatPage(pages: readonly ReportPage[]): string {
  return `${[
    '# Benchmark results',
    '<!-- Made by npm run gen from the results in docs/benchmarks; changes here are lost. -->',
    `What \`isthmus bench\`, \`isthmus bench nat\` and \`isthmus bench service\` found on one machine. What each line means is in
[benchmark.md](benchmark.md); on another machine the ratios are others, and the commands print them. Missed goals are listed first.`,
    ...METHOD,
    ...pages.flatMap(reportParts),
  ].join('\n\n')}\n`;
}

function reportParts({ report, source, charts }: ReportPage): string[] {
  const goals = report.results.filter(({ met }) => met !== undefined);
  const missed = goals.filter(({ met }) => met === false);
  const others = report.results.filter(({ met }) => met === undefined);
  return [
    `## ${TITLES[report.benchmark]}`,
    machineText(report, source),
    `**${goals.length - missed.length} of ${goals.length} goals met**, self-checks included.`,
    ...(missed.length === 0 ? [] : ['### Missed goals', missedTable(missed, report)]),
    ...charts.flatMap(({ title, caption, path }) => [`### ${title}`, `${caption}`, `![${title}](${path})`]),
    '### Goals and figures',
    resultsTable(goals),
    ...(others.length === 0 ? [] : ['### Figures without a goal', resultsTable(others)]),
    ...(report.times.length === 0 ? [] : ['### Times, microseconds', timesTable(report.times)]),
  ];
}

function machineText({ machine, settings, versions, missing, notes, started, seconds }: BenchReport, source: string) {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`;
  return [
    `* ${machine.processor}, ${machine.cpus} CPUs, ${memory}; kernel ${machine.kernel}; load before ${machine.load.toFixed(2)}`,
    `* ${started.slice(0, 10)}, ${settings.rounds} rounds${settings.quick ? ' (`--quick`)' : ''}, ${seconds} s in all; ` +
      `from [${source}](${source.replace(/^docs\//, '')})`,
    `* ${Object.entries(versions)
      .map(([name, version]) => `${name}: ${version}`)
      .join('; ')}`,
    ...notes.map((note) => `* note: ${note}`),
    ...missing.map(({ name, reason }) => `* missing: ${name}: ${reason}`),
  ].join('\n');
}

function missedTable(missed: readonly AnyResult[], report: BenchReport): string {
  const cells = missed.map((result) => {
    const { section, name, what } = result;
    const why = reasonOf(result, report) ?? 'no measurement says why yet';
    return [section, name.trim(), what, formatMedian(result), formatQuartiles(result), formatGoal(result), why];
  });
  return table(['Section', 'Compared', 'What', 'Median', 'Quartiles', 'Goal', 'Why'], cells);
}

function resultsTable(results: readonly AnyResult[]): string {
  const cells = results.map((result) => {
    const { section, name, what, met, note = '', spread } = result;
    const verdict = met === undefined ? '' : met ? 'yes' : '**no**';
    const figures = [formatMedian(result), formatQuartiles(result), String(spread?.count ?? '-')];
    return [section, name.trim(), what, ...figures, formatGoal(result), verdict, note];
  });
  return table(['Section', 'Compared', 'What', 'Median', 'Quartiles', 'Rounds', 'Goal', 'Met', 'Note'], cells);
}

function timesTable(times: readonly PathTime[]): string {
  const titles = ['Path', 'Test', 'p50', 'p90', 'p99', 'p99.9', 'Mean', 'Sent again', 'Resets', 'Failed'];
  return table(titles, times.map(timeCells));
}

function timeCells(time: PathTime): string[] {
  const { path, title, test, size, errors } = time;
  return [
    title === undefined ? path : `${path}: ${title}`,
    size === undefined ? test : `${test}, ${size.count} ${size.of}`,
    ...[time.p50, time.p90, time.p99, time.p999, time.mean].map(({ median }) => median.toFixed(2)),
    ...[sentAgain(time), resetsOf(time), String(errors)],
  ];
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
  return [line(titles), `|${titles.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
