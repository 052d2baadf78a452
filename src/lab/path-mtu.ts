// Path MTU discovery: something sends what a link on its way does not take, is told so, and gets it through all the same.
import { capture } from '../testbed/command.js';
import { addressOf } from './directory.js';
import { allNamespaces } from './plan.js';
import type { CaseRun, Judgement, ProbeReport } from './probe.js';
import { failureOf, runProbe } from './probe.js';

const STREAM_BYTES = 1_000_000;
/** Fits the devices, with IPv6's headers too, and none of the bottlenecks. */
const DATAGRAM_BYTES = 1450;
/** A datagram that was too large is lost, on the way there and on the way back; what is learnt serves the next one. */
const TRIES = 4;

/**
 * Good when everything arrives and the sender has learnt the MTU from the errors that came back. Not while other cases
 * run: all of a place learn for each other.
 */
export async function checkPathMtu(run: CaseRun): Promise<Judgement> {
  const expected = `mtu ${run.of.mtu}`;
  await forget(run);
  const report = run.of.protocol === 'TCP' ? await sendStream(run) : await sendDatagrams(run);
  const learnt = await learntMtu(run);
  const saw = learnt === undefined ? 'no mtu' : `mtu ${learnt}`;
  const ok = report.ok && learnt === run.of.mtu;
  if (ok) return { saw, expected, ok, detail: '' };
  return { saw, expected, ok, detail: report.ok ? 'the sender has not learnt it' : failureOf(report) };
}

/** What was learnt before, by the others too: a server that knows the way to be narrow asks for small segments. */
async function forget({ directory, of }: CaseRun): Promise<void> {
  const argv = ['ip', of.family === 'ipv4' ? '-4' : '-6', 'route', 'flush', 'cache'];
  await Promise.all(allNamespaces(directory.plan).map((netns) => capture(argv, { netns })));
}

function sendStream(run: CaseRun): Promise<ProbeReport> {
  const { address, port } = run.target;
  const argv = ['tcp', address, String(port), 'sink', String(STREAM_BYTES), '--timeout', '10000'];
  return runProbe([...argv, ...bindOf(run)], run.place);
}

async function sendDatagrams(run: CaseRun): Promise<ProbeReport> {
  const { address, port } = run.target;
  const argv = ['udp', address, String(port), 'echo', String(DATAGRAM_BYTES), '--timeout', '150', ...bindOf(run)];
  let report = await runProbe(argv, run.place);
  for (let tries = 1; tries < TRIES && !report.ok; tries++) report = await runProbe(argv, run.place);
  return report;
}

function bindOf({ directory, of }: CaseRun): string[] {
  return of.from.endsWith('/narrow') ? ['--bind', addressOf(directory, of.from, of.family)] : [];
}

/** What the sender's kernel believes of the way to the target, bytes. */
async function learntMtu({ directory, of, place, target }: CaseRun): Promise<number | undefined> {
  const from = of.from.endsWith('/narrow') ? ['from', addressOf(directory, of.from, of.family)] : [];
  const { stdout } = await capture(['ip', 'route', 'get', target.address, ...from], place);
  const mtu = /\bmtu (?:lock )?(\d+)/.exec(stdout)?.[1];
  return mtu === undefined ? undefined : Number(mtu);
}
