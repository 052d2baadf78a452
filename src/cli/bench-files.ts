// Reports that were written before: compared with each other, and drawn.
import { compareReports, type ReportComparison } from '../bench/compare.js';
import type { BenchReport } from '../bench/report.js';
import { defaultFile, ReportError, readReport } from '../bench/report-file.js';
import { writePage } from './bench-run.js';
import { createOutput } from './context.js';
import { EXIT, notFound, usage } from './exit.js';
import { printList } from './output.js';
import { DIFFERENCES, describeComparison, differenceRow } from './view/bench-compare.js';

export interface CompareOptions {
  readonly format: string;
  /** Also what did not move. */
  readonly all: boolean;
}

/** Exit code 1 when something is worse. Throws CliError: 2 for what are not two reports of one benchmark, 5 for no file. */
export async function compareFiles(before: string, after: string, { format, all }: CompareOptions): Promise<void> {
  const [old, fresh] = [open(before), open(after)];
  if (old.benchmark !== fresh.benchmark)
    throw usage(`${before} is of the benchmark '${old.benchmark}' and ${after} of '${fresh.benchmark}'`);
  const comparison = compareReports(old, fresh);
  if (format === 'json') process.stdout.write(`${JSON.stringify(comparison, undefined, 2)}\n`);
  else await printComparison(comparison, all);
  if (comparison.differences.some(({ verdict }) => verdict === 'worse')) process.exitCode = EXIT.unhealthy;
}

async function printComparison(comparison: ReportComparison, all: boolean): Promise<void> {
  const shown = comparison.differences.filter(({ verdict }) => all || verdict !== 'same');
  await printList(createOutput({ format: 'table', headers: true }, false), DIFFERENCES, shown.map(differenceRow));
  if (shown.length > 0) process.stdout.write('\n');
  process.stdout.write(`${describeComparison(comparison).join('\n')}\n`);
}

/** One page of all files. Throws CliError. */
export async function drawFiles(files: readonly string[], report: string | undefined): Promise<void> {
  await writePage(files.map(open), report ?? defaultFile('report', 'html'));
}

function open(file: string): BenchReport {
  try {
    return readReport(file);
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    throw error.missing ? notFound(error.message) : usage(error.message);
  }
}
