// Runs a benchmark for the command line: its tables or its JSON on stdout, its files, and the exit code.
import { resolve } from 'node:path';
import type { BenchReport } from '../bench/report.js';
import { createOutput } from './context.js';
import { EXIT, usage } from './exit.js';
import { printList } from './output.js';
import { describeRun, RESULTS, resultRow, TIMES, timeRow } from './view/bench.js';

export interface BenchRun {
  /** `table` or `json`. */
  readonly format: string;
  readonly run: () => Promise<BenchReport>;
  /** Parts that must not be missing; peers may be. */
  readonly parts: readonly string[];
  /** Where to write the report for machines and the one for people, in place of the usual places. */
  readonly json?: string;
  readonly report?: string;
}

export const FORMATS: readonly string[] = ['table', 'json'];
const SIGNAL_EXIT: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Throws CliError for an unknown format, before anything is measured. */
export async function runAndReport(options: BenchRun): Promise<void> {
  const { format, run, parts } = options;
  if (!FORMATS.includes(format)) throw usage(`-o ${format}: a benchmark is printed as ${FORMATS.join(' or ')}`);
  const { InterruptedError } = await import('../testbed/owner.js');
  const { formatReport, requireWritable } = await import('../bench/report-file.js');
  // Not after minutes of measuring.
  for (const file of [options.json, options.report]) if (file !== undefined) requireWritable(file);
  try {
    const found = await run();
    if (format === 'json') process.stdout.write(formatReport(found));
    else await printTables(found);
    await writeFiles(found, options);
    if (found.missing.some(({ name }) => parts.includes(name))) process.exitCode = EXIT.unhealthy;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    narrate(error.message);
    process.exitCode = SIGNAL_EXIT[error.signal] ?? EXIT.unhealthy;
  }
}

async function printTables(report: BenchReport): Promise<void> {
  const output = createOutput({ format: 'table', headers: true }, false);
  process.stdout.write(`${describeRun(report).join('\n')}\n\n`);
  await printList(output, RESULTS, report.results.map(resultRow));
  if (report.times.length > 0) process.stdout.write('\n');
  await printList(output, TIMES, report.times.map(timeRow));
}

async function writeFiles(found: BenchReport, { json, report }: BenchRun): Promise<void> {
  const { defaultFile, writeReport } = await import('../bench/report-file.js');
  const data = resolve(json ?? defaultFile(found.benchmark, 'json'));
  writeReport(data, found);
  narrate(`results: ${data}`);
  await writePage([found], report ?? defaultFile(found.benchmark, 'html'));
}

/** One page of all the reports. Says where it is, and what it lacks. */
export async function writePage(reports: readonly BenchReport[], file: string): Promise<void> {
  const { writeHtml } = await import('../bench/page/html.js');
  const path = resolve(file);
  const { missing } = await writeHtml(path, reports);
  if (missing !== undefined) narrate(missing);
  narrate(`report: ${path}`);
}

/** To people, beside the data. */
export function narrate(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}
