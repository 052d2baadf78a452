// Reports as files: written as a whole, and refused with the place when they are not what they should be.
import { accessSync, constants, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { writeAtomically } from '../testbed/atomic-file.js';
import { ROOT } from '../testbed/files.js';
import { type BenchReport, REPORT_VERSION, reportSchema } from './report.js';

/** A file that is not a report; `missing` when there is no such file. */
export class ReportError extends Error {
  readonly code = 'ERR_BENCH_REPORT';
  readonly missing: boolean;

  constructor(message: string, { missing = false, ...options }: ErrorOptions & { readonly missing?: boolean } = {}) {
    super(message, options);
    this.missing = missing;
  }
}

const MAKE = 'make one with `isthmus bench --json FILE`';

/** Where a file goes when nobody says where. */
export function defaultFile(name: string, extension: 'json' | 'html'): string {
  return `${ROOT}/build/bench/${name}.${extension}`;
}

/** The text of a report, with a newline at its end. */
export function formatReport(report: BenchReport): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

/** Replaces the file as a whole, and creates its directory. */
export function writeReport(path: string, report: BenchReport): void {
  writeAtomically(resolve(path), formatReport(report));
}

/** Creates the directory. Throws ReportError when the file could not be written there. */
export function requireWritable(path: string): void {
  const directory = dirname(resolve(path));
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
  } catch (cause) {
    throw new ReportError(`cannot write ${path}: ${(cause as Error).message}. Nothing was measured`, { cause });
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new ReportError(`cannot write ${path}: it is a directory. Nothing was measured; name a file`);
}

/** Throws ReportError. */
export function readReport(path: string): BenchReport {
  return parseReport(readText(path), path);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    const why = missing ? 'there is no such file' : message;
    throw new ReportError(`cannot read the report ${path}: ${why}; ${MAKE}`, { cause, missing });
  }
}

/** `from` names the text in errors. Throws ReportError. */
export function parseReport(text: string, from: string): BenchReport {
  const value = parseJson(text, from);
  const { kind, apiVersion } = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (kind !== 'BenchReport' || apiVersion !== REPORT_VERSION)
    throw new ReportError(
      `${from} is not a report: it is '${apiVersion ?? 'no'}' '${kind ?? 'kind'}' and not '${REPORT_VERSION}' ` +
        `'BenchReport'; ${MAKE}`,
    );
  const parsed = reportSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = z.prettifyError(parsed.error).split('\n').slice(0, 2).join(' ').replace(/\s+/g, ' ');
  throw new ReportError(`${from} is not a whole report: ${why}; ${MAKE}`);
}

function parseJson(text: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ReportError(`${from} is not JSON: ${(cause as Error).message}; ${MAKE}`, { cause });
  }
}
