// Connections and requests that must not notice that agents die, programs are replaced and backends come and go.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import type { Family } from '../model/address.js';
import { FAMILIES } from '../model/address.js';
import { capture, enter, pause } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { AgentChoices } from '../testbed/node.js';
import { restartAgent } from '../testbed/node-agent.js';
import { bpffsOf } from '../testbed/node-home.js';
import type { CaseProtocol } from './cases.js';
import type { Directory } from './directory.js';
import { targetOf } from './directory.js';
import type { LabNode } from './plan.js';
import { allNodes } from './plan.js';
import type { ProbeReport } from './probe.js';
import { LabError } from './record.js';
import { rollBackends } from './rolling.js';
import type { Row } from './row.js';
import type { Place } from './servers.js';

interface Ends {
  readonly from: string;
  readonly to: string;
}

interface LongFlow extends Ends {
  readonly protocol: CaseProtocol;
}

type Of<Kind> = Kind & { readonly family: Family };

interface Running {
  readonly child: ChildProcess;
  readonly report: Promise<ProbeReport>;
}

export interface ContinuityOptions {
  readonly choices: AgentChoices;
  readonly places: ReadonlyMap<string, Place>;
  /** Seconds, at least; every agent is replaced once. */
  readonly replaceFor: number;
  readonly progress: (what: string) => void;
}

/** Each in both families: eleven TCP connections and three datagram streams, over every kind of path. */
const FLOWS: readonly LongFlow[] = [
  { protocol: 'TCP', from: 'c1/a', to: 'server' },
  { protocol: 'TCP', from: 'c2/c', to: 'server' },
  { protocol: 'TCP', from: 'client', to: 'vip:c1/web' },
  { protocol: 'TCP', from: 'c1/a', to: 'c1/c' },
  { protocol: 'TCP', from: 'c1/b', to: 'vip:c2/far' },
  { protocol: 'TCP', from: 'c1/b', to: 'server' },
  { protocol: 'TCP', from: 'c1/c', to: 'server' },
  { protocol: 'TCP', from: 'c2/a', to: 'server' },
  { protocol: 'TCP', from: 'client', to: 'vip:c1/far' },
  { protocol: 'TCP', from: 'client', to: 'nodeport:c2-n2/web' },
  { protocol: 'TCP', from: 'c1/c', to: 'clusterip:c1/web' },
  { protocol: 'UDP', from: 'c1/a', to: 'server' },
  { protocol: 'UDP', from: 'c1/b', to: 'clusterip:c1/far' },
  { protocol: 'UDP', from: 'client', to: 'vip:c2/web' },
];

/** Of the service whose backends are replaced. In both families, each with a connection a request and with one that is kept. */
const ROLLING = { cluster: 'c1', service: 'pair' };
const REQUESTS: readonly Ends[] = [
  { from: 'c1/a', to: 'clusterip:c1/pair' },
  { from: 'client', to: 'vip:c1/pair' },
];
/** The `bench` of the probe, and what one of it is. */
const REQUEST_KINDS = [
  { bench: 'crr_rate', unit: 'a new connection each' },
  { bench: 'rr_rate', unit: 'on one connection' },
] as const;
type RequestKind = (typeof REQUEST_KINDS)[number];

const TCP_RATE = ['--rate', '500', '--size', '2000'];
const UDP_RATE = ['--rate', '1000', '--size', '64'];
/** 200 requests a second by the eight of them. */
const REQUEST_RATE = ['--rate', '25'];
/** How long a node is without an agent. */
const DOWN_MS = 300;
/** An upper limit, beside `replaceFor`; the flows are told to end when the last agent is back. */
const LONGEST_SECONDS = 400;

/** Holds flows open and sends requests, kills and restarts every agent in turn, and counts what was lost. */
export async function checkContinuity(directory: Directory, options: ContinuityOptions): Promise<Row[]> {
  const flows = FAMILIES.flatMap((family) => FLOWS.map((flow) => startFlow(directory, { ...flow, family }, options)));
  const requests = FAMILIES.flatMap((family) =>
    REQUESTS.flatMap((ends) =>
      REQUEST_KINDS.map((kind) => startRequests(directory, { ...ends, ...kind, family }, options)),
    ),
  );
  let stopped = false;
  const rolling = rollBackends(directory, ROLLING, () => stopped);
  await pause(500);
  const rows: Row[] = [];
  try {
    const until = performance.now() + options.replaceFor * 1000;
    do {
      for (const node of allNodes(directory.plan)) rows.push(await replacePrograms(node, options));
      await pause(300);
    } while (performance.now() < until);
  } finally {
    stopped = true;
    for (const { child } of [...flows, ...requests]) child.kill('SIGTERM');
  }
  const changes = await rolling;
  return [
    ...rows,
    ...(await Promise.all(flows.map(judgeFlow))),
    ...(await Promise.all(requests.map((one) => judgeRequests(one, changes)))),
  ];
}

function startFlow(directory: Directory, flow: Of<LongFlow>, options: ContinuityOptions): Of<LongFlow> & Running {
  const target = targetOf(directory, flow.to, flow.family);
  const words = flow.protocol === 'TCP' ? ['hold', ...TCP_RATE] : ['stream', ...UDP_RATE];
  const argv = [flow.protocol.toLowerCase(), target.address, String(target.port), ...words];
  return { ...flow, ...startProbe(argv, flow.from, options) };
}

function startRequests(
  directory: Directory,
  of: Of<Ends & RequestKind>,
  options: ContinuityOptions,
): Of<Ends & RequestKind> & Running {
  const target = targetOf(directory, of.to, of.family);
  const argv = ['bench', of.bench, target.address, String(target.port), ...REQUEST_RATE];
  return { ...of, ...startProbe(argv, of.from, options) };
}

function startProbe(argv: readonly string[], from: string, { places, replaceFor }: ContinuityOptions): Running {
  const place = places.get(from);
  if (!place) throw new LabError(`the lab has no place for the probe '${argv.join(' ')}'`);
  const [file = '', ...args] = enter([PROBE, ...argv, '--seconds', String(LONGEST_SECONDS + replaceFor)], place);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, report: readReport(child) };
}

async function readReport(child: ChildProcess): Promise<ProbeReport> {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise((resolve) => child.on('close', resolve).on('error', resolve));
  return text.startsWith('{')
    ? (JSON.parse(text) as ProbeReport)
    : { ok: false, ms: 0, error: text.trim() || 'no report' };
}

/** A restart with the same node: the new agent adopts the maps and puts its own programs into the links. */
async function replacePrograms(node: LabNode, options: ContinuityOptions): Promise<Row> {
  options.progress(`kill -9 of the agent of ${node.name}, then a new one`);
  const started = performance.now();
  const before = await programIds(node);
  const failure = await restartAgent(node, options.choices, DOWN_MS).then(
    () => '',
    (error: Error) => error.message,
  );
  const after = await programIds(node);
  const replaced = before.length > 0 && after.length === before.length && after.every((id) => !before.includes(id));
  const ids = `programs ${before.join(',') || 'none'} -> ${after.join(',') || 'none'}`;
  return {
    ...{ name: 'agent killed, programs replaced', family: '-', protocol: '-', from: node.name, to: '-', saw: '-' },
    expected: 'other programs',
    ok: failure === '' && replaced,
    ms: Math.round(performance.now() - started),
    detail: failure || ids,
  };
}

/** Kernel ids of the node's programs: behind pinned links, and in tc filters, which have no link. */
async function programIds(node: LabNode): Promise<number[]> {
  const directory = `${bpffsOf(node)}/links`;
  const links = existsSync(directory) ? readdirSync(directory) : [];
  const queries = links.map((link) => ['bpftool', '-j', 'link', 'show', 'pinned', `${directory}/${link}`]);
  const filters = ['bpftool', '-j', 'net', 'show'];
  const answers = await Promise.all([...queries, filters].map((argv) => capture(argv, { netns: node.netns })));
  const ids = answers.flatMap(({ stdout }) => [...stdout.matchAll(/"prog_id":(\d+)|"id":(\d+)(?=[^{}]*\}[^{}]*\])/g)]);
  return ids.map((match) => Number(match[1] ?? match[2])).sort((a, b) => a - b);
}

async function judgeFlow(flow: Of<LongFlow> & Running): Promise<Row> {
  const report = await flow.report;
  const sent = report.sent ?? 0;
  const lost = sent - (report.received ?? 0);
  const unit = flow.protocol === 'TCP' ? 'messages of 2000 bytes' : 'datagrams';
  const gap = Math.round(report.maxGapMs ?? 0);
  return {
    name: 'stays open while agents are replaced',
    family: flow.family,
    protocol: flow.protocol,
    from: flow.from,
    to: flow.to,
    saw: `${lost} lost`,
    expected: '0 lost',
    ok: report.ok && sent > 0 && lost === 0,
    ms: Math.round(report.ms),
    detail: `${report.error ? `${report.error}; ` : ''}${sent} ${unit}, longest gap ${gap} ms`,
  };
}

async function judgeRequests({ family, from, to, unit, report }: Of<Ends & RequestKind> & Running, changes: number) {
  const { ok, count = 0, errors = 0, synRetransmits = 0, error } = await report;
  return {
    ...({ name: 'answered while agents and backends are replaced', family, protocol: 'TCP', from, to } as const),
    saw: `${errors} failed`,
    expected: '0 failed',
    ok: ok && count > 0 && errors === 0 && changes > 0,
    ms: 0,
    detail: `${error ? `${error}; ` : ''}${count} requests, ${unit}; ${changes} changes; ${synRetransmits} SYNs again`,
  };
}
