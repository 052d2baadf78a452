// What a pod of an island can do at the edge of its ports: use nearly all of them, be refused at once when none is left
// without a neighbour noticing, and reach pods of its node, itself too, by their outside names.
import { type ChildProcess, spawn } from 'node:child_process';
import { enter } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { Directory, Ports } from './directory.js';
import { addressOf, matchesSource, portsOfPod, targetOf } from './directory.js';
import { clusterOf } from './plan.js';
import { type ProbeReport, runProbe } from './probe.js';
import { LabError } from './record.js';
import type { Row } from './row.js';
import type { Place } from './servers.js';

type Places = ReadonlyMap<string, Place>;

/** Nobody else of the lab goes from FILLER to REMOTE, so only what is done here uses ports there. */
const FILLER = 'c1/b';
const NEIGHBOUR = 'c1/a';
const REMOTE = 'client';
/** More than any pod's ports. */
const CONNECTIONS = 8192;
const FILL_RATIO = 0.97;
/** Milliseconds; a refusal is an answer, not a wait. */
const REFUSAL_MS = 1000;
/** Milliseconds until the probe must have met its limit. */
const FILL_MS = 20_000;
/** Of the sockets that meet by their outside names: another one each time, because an earlier check left open doors. */
const HAIRPIN_PORTS = { first: 9000, count: 16_000 };

/** Rows of IPv4 where it is an island; nothing has ports of its own elsewhere. */
export async function checkLimits(directory: Directory, places: Places): Promise<Row[]> {
  const cluster = clusterOf(directory.plan, directory.nodeOf.get(FILLER)?.cluster ?? '');
  if (cluster.modes.ipv4 !== 'Island') return [];
  return [...(await checkExhaustion(directory, places)), ...(await checkHairpin(directory, places))];
}

async function checkExhaustion(directory: Directory, places: Places): Promise<Row[]> {
  const { address, port } = targetOf(directory, REMOTE, 'ipv4');
  const argv = ['tcp', address, String(port), 'fill', '--count', String(CONNECTIONS), '--seconds', '60'];
  const [file = '', ...args] = enter([PROBE, ...argv, '--die-with-parent'], placeOf(places, FILLER));
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const report = await firstReport(child);
    const ports = countOf(await portsOfPod(directory, FILLER));
    const neighbour = await runProbe(['tcp', address, String(port), 'who'], placeOf(places, NEIGHBOUR));
    return [judgeFill(report, ports), judgeNeighbour(directory, neighbour)];
  } finally {
    child.kill('SIGTERM');
  }
}

/** It goes on holding its connections after its report. */
async function firstReport(child: ChildProcess): Promise<ProbeReport> {
  let text = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), FILL_MS);
  try {
    await new Promise<void>((resolve) => {
      child.stdout?.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.includes('\n')) resolve();
      });
      child.on('close', () => resolve()).on('error', () => resolve());
    });
  } finally {
    clearTimeout(timer);
  }
  return text.startsWith('{') ? (JSON.parse(text) as ProbeReport) : { ok: false, ms: 0, error: 'no report' };
}

function judgeFill(report: ProbeReport, ports: number): Row {
  const { opened = 0, lastMs = 0, error = 'none' } = report;
  const refused = error === 'EHOSTUNREACH' && lastMs <= REFUSAL_MS;
  return row({
    name: 'ports exhausted: nearly all are used, then refused',
    ...{ from: FILLER, to: REMOTE, protocol: 'TCP' },
    saw: `${opened} of ${ports}`,
    expected: `${Math.ceil(ports * FILL_RATIO)} or more, then refused`,
    ok: opened >= ports * FILL_RATIO && opened <= ports && refused,
    ms: Math.round(report.ms),
    detail: `the next one: ${error} after ${lastMs.toFixed(1)} ms`,
  });
}

function countOf(ports: readonly Ports[]): number {
  return ports.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

function judgeNeighbour(directory: Directory, report: ProbeReport): Row {
  const { saw = '-', ok, error = '' } = report;
  const ports = directory.blocks.get(NEIGHBOUR);
  const source = { address: nodeAddressOf(directory), ...(ports ? { ports } : {}) };
  return row({
    name: 'ports exhausted: the neighbour connects',
    ...{ from: NEIGHBOUR, to: REMOTE, protocol: 'TCP' },
    saw,
    expected: 'a port of its own block',
    ok: ok && matchesSource(saw, source),
    ms: Math.round(report.ms),
    detail: error,
  });
}

/** Two sockets that a third party has told their outside names: each sends to the other's, and to its own. */
async function checkHairpin(directory: Directory, places: Places): Promise<Row[]> {
  const [a, b] = [placeOf(places, NEIGHBOUR), placeOf(places, FILLER)];
  const port = String(HAIRPIN_PORTS.first + Math.floor(Math.random() * HAIRPIN_PORTS.count));
  const outsideA = await outsideName(directory, a, port);
  const outsideB = await outsideName(directory, b, port);
  // Nobody has let the other in yet: this one is refused, and opens a's own door.
  await ask(a, outsideB, ['--source-port', port, '--timeout', '50']);
  const [file = '', ...args] = enter([PROBE, 'serve', '--port', port, '--die-with-parent'], a);
  const server = spawn(file, args, { stdio: 'ignore' });
  try {
    const neighbour = await askUntil(b, outsideA, ['--source-port', port, '--timeout', '200']);
    const own = await askUntil(a, outsideA, ['--timeout', '200']);
    return [
      judgeHairpin("hairpin: by a neighbour's outside name", FILLER, neighbour, outsideB),
      judgeHairpin('hairpin: by its own outside name', NEIGHBOUR, own, `${nodeAddressOf(directory)}:`),
    ];
  } finally {
    server.kill('SIGTERM');
  }
}

/** What a server outside sees of the socket that meets others. */
async function outsideName(directory: Directory, place: Place, from: string): Promise<string> {
  const { address, port } = targetOf(directory, 'server', 'ipv4');
  const argv = ['udp', address, String(port), 'who', '--source-port', from];
  return (await runProbe(argv, place)).saw ?? '';
}

function ask(place: Place, outside: string, flags: readonly string[]): Promise<ProbeReport> {
  const [address = '', port = ''] = outside.split(':');
  return runProbe(['udp', address, port, 'who', ...flags], place);
}

/** The server may not listen yet. */
async function askUntil(place: Place, outside: string, flags: readonly string[]): Promise<ProbeReport> {
  let report = await ask(place, outside, flags);
  for (let tries = 1; tries < 5 && !report.ok; tries++) report = await ask(place, outside, flags);
  return report;
}

function judgeHairpin(name: string, from: string, report: ProbeReport, expected: string): Row {
  const { saw = '-', error = '' } = report;
  const ok = report.ok && saw.startsWith(expected);
  return row({
    ...{ name, from, to: NEIGHBOUR, protocol: 'UDP', saw, ok, detail: error },
    expected: expected.replace(/:$/, ''),
    ms: Math.round(report.ms),
  });
}

function row(of: Omit<Row, 'family'>): Row {
  return { family: 'ipv4', ...of };
}

function nodeAddressOf(directory: Directory): string {
  return addressOf(directory, directory.nodeOf.get(NEIGHBOUR)?.name ?? '', 'ipv4');
}

function placeOf(places: Places, name: string): Place {
  const place = places.get(name);
  if (!place) throw new LabError(`the lab has no place '${name}'`);
  return place;
}
