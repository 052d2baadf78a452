// Watches the router while the checks run: in island mode no pod address may leave a cluster's own segment.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { enter, run, until } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import { UPLINK } from '../testbed/node.js';
import type { LabCluster, LabPlan } from './plan.js';
import type { Row } from './row.js';

/** Packets to this port of the router are ours: they prove that the capture sees what passes. */
const MARKER_PORT = '9';
const SHOWN = 3;

/** One device of the router, what is a leak there, and who sends the marker. */
interface Watch {
  readonly device: string;
  readonly leak: string;
  readonly gateway: string;
  readonly sender: string;
}

interface Capture {
  readonly watch: Watch;
  readonly child: ChildProcessWithoutNullStreams;
  readonly lines: string[];
  diagnostics: string;
}

export interface LeakWatch {
  /** Ends the captures and judges them: one row a device. */
  stop(): Promise<Row[]>;
}

/** Starts capturing; returns when every capture has seen its marker or its time is up. */
export async function watchLeaks(plan: LabPlan): Promise<LeakWatch> {
  const watches = await planWatches(plan);
  const captures = watches.map((watch) => startCapture(plan.router.netns, watch));
  for (const capture of captures) {
    await until(() => capture.diagnostics.includes('listening on') || capture.child.exitCode !== null, 5000);
    await sendMarker(capture);
  }
  return {
    async stop() {
      const rows: Row[] = [];
      for (const capture of captures) rows.push(await endCapture(capture));
      return rows;
    },
  };
}

/** The families that are islands decide what is watched; in a flat lab nothing is hidden. */
async function planWatches(plan: LabPlan): Promise<Watch[]> {
  const islands = plan.clusters.filter((cluster) => cluster.modes.ipv4 === 'Island');
  if (islands.length === 0) return [];
  const hidden = [...new Set(islands.map((cluster) => cluster.podCIDRs.ipv4))].map(carries).join(' or ');
  const segments = islands.map(
    async (cluster): Promise<Watch> => ({
      device: cluster.bridge,
      leak: `(${hidden}) and not (${await ownTraffic(cluster)})`,
      gateway: cluster.gateway.ipv4,
      sender: cluster.nodes[0]?.netns ?? '',
    }),
  );
  const outside: Watch = {
    device: plan.router.bridge,
    leak: hidden,
    gateway: plan.router.gateway.ipv4,
    sender: plan.hosts[0]?.netns ?? '',
  };
  return [...(await Promise.all(segments)), outside];
}

/** The address in a header, or in the header that an ICMP error quotes (at 8 + 12 and 8 + 16 bytes of the message). */
function carries(cidr: string): string {
  const [first = 0, second = 0] = cidr.split('.').map(Number);
  const prefix = `0x${((first << 8) | second).toString(16)}`;
  const error = 'icmp[0] == 3 or icmp[0] == 11 or icmp[0] == 12';
  return `net ${cidr} or (icmp and (${error}) and (icmp[20:2] == ${prefix} or icmp[24:2] == ${prefix}))`;
}

/** Between two nodes of the cluster, and not to or from the router. */
async function ownTraffic(cluster: LabCluster): Promise<string> {
  const macs = await Promise.all(cluster.nodes.map((node) => macOf(node.netns)));
  const [a, b] = macs;
  return `(ether src ${a} and ether dst ${b}) or (ether src ${b} and ether dst ${a})`;
}

/** Asked from `ip`, because /sys shows the devices of the namespace that it was mounted in. */
async function macOf(netns: string): Promise<string> {
  const text = await run(['ip', '-n', netns, '-j', 'link', 'show', 'dev', UPLINK]);
  const [link] = JSON.parse(text) as { address: string }[];
  return link?.address ?? '';
}

function startCapture(netns: string, watch: Watch): Capture {
  const filter = `(udp dst port ${MARKER_PORT} and dst host ${watch.gateway}) or (${watch.leak})`;
  const argv = ['tcpdump', '-i', watch.device, '-nn', '-l', '--immediate-mode', filter];
  const [file = '', ...args] = enter(argv, { netns });
  const child = spawn(file, args);
  const capture: Capture = { watch, child, lines: [], diagnostics: '' };
  child.stdout
    .setEncoding('utf8')
    .on('data', (text: string) => capture.lines.push(...text.split('\n').filter(Boolean)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (capture.diagnostics += text));
  child.on('error', (error) => (capture.diagnostics += error.message));
  return capture;
}

async function sendMarker({ watch, lines }: Capture): Promise<boolean> {
  const before = countMarkers(lines);
  const argv = [PROBE, 'udp', watch.gateway, MARKER_PORT, 'who', '--timeout', '100'];
  // The router refuses the port: only the capture matters.
  await run(['/bin/sh', '-c', '"$@" || true', 'sh', ...argv], { netns: watch.sender });
  return until(() => countMarkers(lines) > before, 2000);
}

async function endCapture(capture: Capture): Promise<Row> {
  const started = performance.now();
  // Seen at the end, the marker proves that the capture lived through the whole check.
  const alive = await sendMarker(capture);
  capture.child.kill('SIGTERM');
  await until(() => capture.child.exitCode !== null || capture.child.signalCode !== null, 2000);
  const leaks = capture.lines.filter((line) => !isMarker(line));
  const detail = alive ? leaks.slice(0, SHOWN).join('; ') : `the capture does not work: ${capture.diagnostics.trim()}`;
  return {
    name: 'no pod address at the router',
    family: 'ipv4',
    protocol: '-',
    from: capture.watch.device,
    to: '-',
    saw: alive ? `${leaks.length} packets` : '-',
    expected: '0 packets',
    ok: alive && leaks.length === 0,
    ms: Math.round(performance.now() - started),
    detail,
  };
}

function isMarker(line: string): boolean {
  return line.includes(`.${MARKER_PORT}: UDP`);
}

function countMarkers(lines: readonly string[]): number {
  return lines.filter(isMarker).length;
}
