// Runs one case with the probe or with ping and judges what came back.

import type { CommandOptions } from '../testbed/command.js';
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { LabCase } from './cases.js';
import type { Directory, Target } from './directory.js';
import { addressOf, expectedSources, formatSource, matchesSource, targetOf } from './directory.js';
import { LabError } from './record.js';
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
  readonly lost?: number;
  readonly errors?: number;
  readonly maxGapMs?: number;
}

const TRANSFER_BYTES = 100_000_000;
const BOTTLENECK_BYTES = 4_000_000;
const DATAGRAM_BYTES = 8000;
const PING_BYTES = 4000;
/** A refusal is an answer: it comes well before anybody would give up waiting. */
const REFUSAL_MS = 1000;
const REFUSALS = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EACCES'];

/** Runs a case at its place. */
export async function runCase(directory: Directory, places: ReadonlyMap<string, Place>, of: LabCase): Promise<Row> {
  const place = places.get(of.from.replace(/\/narrow$/, ''));
  if (!place) throw new LabError(`the lab has no place '${of.from}'`);
  const target = targetOf(directory, of.to, of.family);
  const started = performance.now();
  const judged =
    of.protocol === 'ICMP'
      ? await ping(place, of, target)
      : judge(directory, of, await runProbe(probeWords(directory, of, target), place));
  return {
    name: of.name,
    family: of.family,
    protocol: of.protocol,
    from: of.from,
    to: of.to,
    ...judged,
    ms: Math.round(performance.now() - started),
  };
}

type Judgement = Pick<Row, 'saw' | 'expected' | 'ok' | 'detail'>;

async function ping(place: Place, of: LabCase, { address }: Target): Promise<Judgement> {
  const size = of.action === 'large' ? ['-s', String(PING_BYTES)] : [];
  const { status, stdout, stderr } = await capture(['ping', '-n', '-c', '1', '-W', '2', ...size, address], place);
  const said = `${stdout}\n${stderr}`.split('\n').filter((line) => /^(From|ping:|nsenter:)|packet loss/.test(line));
  return { saw: '-', expected: 'reply', ok: status === 0, detail: status === 0 ? '' : said.join('; ') };
}

function probeWords(directory: Directory, of: LabCase, target: Target): string[] {
  const bind = of.from.endsWith('/narrow') ? ['--bind', addressOf(directory, of.from, of.family)] : [];
  return [of.protocol.toLowerCase(), target.address, String(target.port), ...actionWords(of), ...bind];
}

function actionWords(of: LabCase): string[] {
  switch (of.action) {
    case 'transfer':
      return ['transfer', '--bytes', String(TRANSFER_BYTES), '--timeout', '5000'];
    case 'sink':
    case 'source':
      return [of.action, String(BOTTLENECK_BYTES), '--timeout', '15000'];
    case 'large':
      return ['echo', String(DATAGRAM_BYTES)];
    default:
      return ['who'];
  }
}

/** Runs the probe in a place and reads its one line. */
export async function runProbe(argv: readonly string[], options: CommandOptions): Promise<ProbeReport> {
  const { status, stdout, stderr } = await capture([PROBE, ...argv], { timeout: 60_000, ...options });
  const line = stdout.trim();
  if (line.startsWith('{')) return JSON.parse(line) as ProbeReport;
  return { ok: false, ms: 0, error: `the probe ended with status ${status}: ${stderr.trim() || 'it said nothing'}` };
}

function judge(directory: Directory, of: LabCase, report: ProbeReport): Judgement {
  if (of.expectedSource === 'refused') return judgeRefusal(report);
  const sources = expectedSources(directory, of);
  const expected = sources.map(formatSource).join(' or ') || 'reply';
  const saw = report.saw ?? '-';
  if (!report.ok) return { saw, expected, ok: false, detail: failureOf(report) };
  const ok = sources.length === 0 || sources.some((source) => matchesSource(saw, source));
  const moved = of.action === 'transfer' ? `${Math.round((TRANSFER_BYTES * 8) / 1e3 / report.ms)} Mbit/s each way` : '';
  return { saw, expected, ok, detail: ok ? moved : 'another source than expected' };
}

function judgeRefusal(report: ProbeReport): Judgement {
  const quick = report.ms <= REFUSAL_MS;
  const ok = !report.ok && REFUSALS.includes(report.error ?? '') && quick;
  const what = report.ok ? 'it was answered' : `${report.error} after ${Math.round(report.ms)} ms`;
  return { saw: '-', expected: 'refused', ok, detail: what };
}

function failureOf(report: ProbeReport): string {
  const amount = report.bytes === undefined ? '' : ` after ${report.bytes} bytes`;
  return `${report.error ?? 'wrong answer'}${amount}, ${Math.round(report.ms)} ms`;
}
