// Reports as one page that needs nothing else: charts, tables, the machine, the method, light and dark.
import { resolve } from 'node:path';
import { writeAtomically } from '../../testbed/atomic-file.js';
import type { Benchmark, BenchReport } from '../report.js';
import { type Chart, listCharts } from './charts.js';
import { type Draw, openDrawing } from './draw.js';
import { escapeHtml } from './escape.js';
import { PAGE_STYLE } from './style.js';
import { factsTable, missedTable, resultsTable, timesTable } from './tables.js';
import { themeStyle } from './theme.js';

export const TITLES: Readonly<Record<Benchmark, string>> = {
  paths: 'Whole paths',
  nat: 'Translation',
  service: 'Services',
  cni: 'The CNI plugin',
};

/** How figures come about: what a reader must know to believe them. */
export const METHOD: readonly string[] = [
  'Everything was up at the same time on one machine, in network namespaces of its own, and measured in rounds of ' +
    'random order. Clients and servers run on one CPU as real-time tasks: another job makes quartiles wider, not ' +
    'ratios wrong.',
  'A ratio is the time of the one it is compared with, divided by the time of the path, both of the same round: more ' +
    'than 1 is faster, except where it says cost. Figures are medians over the rounds with their quartiles; no round ' +
    'is left out. A goal is judged by the median, losses and failures by the sum of all runs.',
  'The self-check compares a path with itself, and should be 1: what it differs is noise.',
];

const KEY =
  '<p class="key"><span><i class="met"></i>goal met</span><span><i class="missed"></i>goal missed</span>' +
  '<span><i class="plain"></i>no goal</span><span><i class="tick"></i>the goal</span>' +
  '<span><i class="whisker"></i>quartiles of the rounds</span><span><i class="one"></i>as fast as the other</span></p>';

/** What the page lacks, when it lacks something. */
export interface Written {
  readonly missing?: string;
}

/** Replaces the file as a whole. Without what draws charts the page has tables alone. */
export async function writeHtml(path: string, reports: readonly BenchReport[]): Promise<Written> {
  const draw = await openDrawing();
  const bodies: string[] = [];
  for (const report of reports) bodies.push(await formatReport(report, draw));
  writeAtomically(resolve(path), page(reports, bodies));
  if (draw !== undefined) return {};
  return { missing: 'the page has no charts: vega and vega-lite are not installed. Run: npm ci' };
}

function page(reports: readonly BenchReport[], bodies: readonly string[]): string {
  const title = `Isthmus benchmark: ${reports.map(({ benchmark }) => TITLES[benchmark].toLowerCase()).join(', ')}`;
  const links = reports.map(({ benchmark }, index) => `<a href="#r${index}">${TITLES[benchmark]}</a>`);
  const sections = bodies.map((body, index) => `<section id="r${index}">\n${body}\n</section>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${themeStyle()}
${PAGE_STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${links.length > 1 ? `<nav>${links.join(' ')}</nav>` : ''}
${sections.join('\n')}
<section>
<h2>Method</h2>
${METHOD.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')}
</section>
</main>
</body>
</html>
`;
}

async function formatReport(report: BenchReport, draw: Draw | undefined): Promise<string> {
  const charts: string[] = [];
  for (const chart of draw === undefined ? [] : listCharts(report)) charts.push(await figure(chart, draw as Draw));
  const missed = missedTable(report);
  return [
    `<h2>${TITLES[report.benchmark]}</h2>`,
    tiles(report),
    factsTable(report),
    missed === '' ? '' : `<h3>Goals that were missed</h3>\n${missed}`,
    charts.length === 0 ? '' : `<h3>Charts</h3>\n${KEY}\n${charts.join('\n')}`,
    `<details><summary>All ${report.results.length} results</summary>\n${resultsTable(report.results)}</details>`,
    report.times.length === 0
      ? ''
      : `<details><summary>All times, microseconds</summary>\n${timesTable(report.times)}</details>`,
  ].join('\n');
}

/** The whole run in four figures. */
function tiles({ results, missing }: BenchReport): string {
  const judged = results.filter(({ met, section }) => met !== undefined && section !== 'self-check');
  const met = judged.filter((one) => one.met).length;
  const checks = results.filter(({ section }) => section === 'self-check');
  const worst = Math.max(0, ...checks.map(({ spread }) => Math.abs((spread?.median ?? 1) - 1)));
  const failed = checks.filter((check) => check.met === false).length;
  const tile = (value: string, text: string): string => `<div><b>${value}</b><span>${escapeHtml(text)}</span></div>`;
  return `<div class="tiles">${[
    tile(`${met} of ${judged.length}`, 'goals met'),
    ...(checks.length === 0
      ? []
      : [
          tile(`${checks.length - failed} of ${checks.length}`, 'self-checks passed'),
          tile(`${(worst * 100).toFixed(1)} %`, 'most that a path differs from itself'),
        ]),
    tile(String(missing.length), missing.length === 1 ? 'part is missing' : 'parts are missing'),
  ].join('')}</div>`;
}

async function figure({ id, title, caption, spec }: Chart, draw: Draw): Promise<string> {
  const { svg } = await draw(spec);
  const label = escapeHtml(title);
  const drawn = svg.replace('<svg ', `<svg role="img" aria-label="${label}" `);
  return `<figure id="${id}"><h4>${label}</h4><p>${escapeHtml(caption)}</p><div class="scroll">${drawn}</div></figure>`;
}
