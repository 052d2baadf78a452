// Runs one case with the probe or with ping and judges what came back.

import { capture } from '../testbed/command.js';
import type { LabCase } from './cases.js';
import type { Directory } from './directory.js';
import { addressOf, expectedSources, formatSource, matchesSource, targetOf } from './directory.js';
import { sendFragments } from './fragments.js';
import { checkPathMtu } from './path-mtu.js';
import type { CaseRun, Judgement, ProbeReport } from './probe.js';
import { failureOf, runProbe } from './probe.js';
import { LabError } from './record.js';
import type { Row } from './row.js';
import type { Place } from './servers.js';
import { traceHops } from './trace.js';

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
  const judged = await judgeCase({ directory, of, place, target });
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

function judgeCase(run: CaseRun): Promise<Judgement> {
  switch (run.of.action) {
    case 'mtu':
      return checkPathMtu(run);
    case 'reordered':
    case 'recut':
      return sendFragments(run);
    case 'trace':
    case 'mtr':
      return traceHops(run);
    default:
      return run.of.protocol === 'ICMP' ? ping(run) : ask(run);
  }
}

async function ping({ place, of, target }: CaseRun): Promise<Judgement> {
  const size = of.action === 'large' ? ['-s', String(PING_BYTES)] : [];
  const argv = ['ping', '-n', '-c', '1', '-W', '2', ...size, target.address];
  const { status, stdout, stderr } = await capture(argv, place);
  const said = `${stdout}\n${stderr}`.split('\n').filter((line) => /^(From|ping:|nsenter:)|packet loss/.test(line));
  return { saw: '-', expected: 'reply', ok: status === 0, detail: status === 0 ? '' : said.join('; ') };
}

async function ask(run: CaseRun): Promise<Judgement> {
  return judge(run.directory, run.of, await runProbe(probeWords(run), run.place));
}

function probeWords({ directory, of, target }: CaseRun): string[] {
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
