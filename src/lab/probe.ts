// Runs the probe, the traffic end point of every check, and reads what it reports.
import type { CommandOptions } from '../testbed/command.js';
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { LabCase } from './cases.js';
import type { Directory, Target } from './directory.js';
import type { Row } from './row.js';
import type { Place } from './servers.js';

/** What the probe reports; more fields by action. */
export interface ProbeReport {
  readonly ok: boolean;
  readonly saw?: string;
  readonly error?: string;
  readonly ms: number;
  readonly bytes?: number;
  readonly sent?: number;
  readonly received?: number;
  readonly damaged?: number;
  readonly lost?: number;
  readonly errors?: number;
  /** Transactions that were answered. */
  readonly count?: number;
  readonly synRetransmits?: number;
  readonly maxGapMs?: number;
  /** Connections that are open at the same time. */
  readonly opened?: number;
  /** How long the last one took. */
  readonly lastMs?: number;
}

/** A case with everything that its names stand for. */
export interface CaseRun {
  readonly directory: Directory;
  readonly of: LabCase;
  readonly place: Place;
  readonly target: Target;
}

/** What a case came to. */
export type Judgement = Pick<Row, 'saw' | 'expected' | 'ok' | 'detail'>;

/** Runs the probe in a place and reads its one line. */
export async function runProbe(argv: readonly string[], options: CommandOptions): Promise<ProbeReport> {
  const { status, stdout, stderr } = await capture([PROBE, ...argv], { timeout: 60_000, ...options });
  const line = stdout.trim();
  if (line.startsWith('{')) return JSON.parse(line) as ProbeReport;
  return { ok: false, ms: 0, error: `the probe ended with status ${status}: ${stderr.trim() || 'it said nothing'}` };
}

/** Why a report is not good. */
export function failureOf(report: ProbeReport): string {
  const amount = report.bytes === undefined ? '' : ` after ${report.bytes} bytes`;
  return `${report.error ?? 'wrong answer'}${amount}, ${Math.round(report.ms)} ms`;
}
