// Writes docs/benchmarks.md and its charts by `npm run gen`, from the committed results in docs/benchmarks.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { ROOT } from '../../testbed/files.js';
import { BENCHMARKS } from '../report.js';
import { readReport } from '../report-file.js';
import { listCharts } from './charts.js';
import { type Draw, openDrawing } from './draw.js';
import { type ChartFile, formatPage, type ReportPage } from './markdown.js';
import { standalone } from './standalone.js';

const FOLDER = 'docs/benchmarks';

const draw = await openDrawing();
if (draw === undefined) throw new Error('vega and vega-lite are not installed: nothing was written. Run: npm ci');
const present = BENCHMARKS.map((name) => `${FOLDER}/${name}.json`).filter((file) => existsSync(`${ROOT}/${file}`));
if (present.length === 0) console.log(`no results in ${FOLDER}: no docs/benchmarks.md`);
else await writePages(present, draw);

async function writePages(files: readonly string[], drawChart: Draw): Promise<void> {
  const pages: ReportPage[] = [];
  for (const file of files) pages.push(await pageOf(file, drawChart));
  const drawn = new Set(pages.flatMap(({ charts }) => charts.map(({ path }) => `docs/${path}`)));
  for (const old of readdirSync(`${ROOT}/${FOLDER}`).filter((name) => name.endsWith('.svg')))
    if (!drawn.has(`${FOLDER}/${old}`)) rmSync(`${ROOT}/${FOLDER}/${old}`);
  write('docs/benchmarks.md', formatPage(pages));
}

async function pageOf(source: string, drawChart: Draw): Promise<ReportPage> {
  const report = readReport(`${ROOT}/${source}`);
  const charts: ChartFile[] = [];
  for (const { id, title, caption, spec } of listCharts(report)) {
    const name = `${report.benchmark}-${id}.svg`;
    write(`${FOLDER}/${name}`, standalone((await drawChart(spec)).svg, title));
    charts.push({ title, caption, path: `benchmarks/${name}` });
  }
  return { report, source, charts };
}

function write(name: string, content: string): void {
  writeFileSync(`${ROOT}/${name}`, content);
  console.log(`${name} written`);
}
