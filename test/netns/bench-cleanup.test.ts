// A benchmark goes away with its process, however that process ends, and there is only one at a time.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { planBench } from '../../src/bench/bench-plan.js';
import { planCniBench } from '../../src/bench/cni/plan.js';
import type { CniSamples } from '../../src/bench/cni/samples.js';
import { planNatBench } from '../../src/bench/nat/plan.js';
import type { NatSamples } from '../../src/bench/nat/samples.js';
import { allNamespaces, BENCH_DIR } from '../../src/bench/plan.js';
import { readRecord } from '../../src/bench/record.js';
import { parseReport } from '../../src/bench/report-file.js';
import type { Samples } from '../../src/bench/samples.js';
import { planServiceBench } from '../../src/bench/service/plan.js';
import type { ServiceSamples } from '../../src/bench/service/samples.js';
import { capture, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { existingNamespaces } from '../../src/testbed/namespaces.js';
import { cgroupRoot } from '../../src/testbed/node-home.js';
import { listResidents } from '../../src/testbed/residents.js';

const NAMES = [...new Set([planBench(), planNatBench(), planServiceBench(), planCniBench()].flatMap(allNamespaces))];
const BUILT_MS = 40_000;
const GONE_MS = 15_000;
const SHORT = ['--rounds', '1', '--quick', '--only', 'same-node', '-o', 'json'];
const SHORT_NAT = ['nat', '--rounds', '1', '--quick', '-o', 'json', '--only'];
let runner: ChildProcess | undefined;

beforeAll(() => {
  if (readRecord()) throw new Error(`a benchmark runs (${BENCH_DIR}): this test would end it`);
});

afterEach(async () => {
  runner?.kill('SIGTERM');
  expect(await until(() => remains().length === 0, GONE_MS)).toBe(true);
});

/** Everything of a benchmark that can be left behind, by kind. */
function remains(): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return [
    ...existingNamespaces(NAMES),
    ...mounts.filter((line) => line.includes(` ${BENCH_DIR}/`)),
    ...readdirSync(cgroupRoot()).filter((name) => NAMES.includes(name)),
    ...listResidents(NAMES).map(({ pid, command }) => `${pid} ${command}`),
    ...(existsSync(BENCH_DIR) ? [BENCH_DIR] : []),
  ];
}

function startBench(options: readonly string[] = SHORT): ChildProcess {
  runner = spawn(process.execPath, [ISTHMUS, 'bench', ...options], { stdio: 'ignore' });
  return runner;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.on('exit', resolve);
  });
}

/** What `-o json` prints is what files have: `S` are the samples of that benchmark. */
function readOutput<S>(stdout: string) {
  const report = parseReport(stdout, 'stdout');
  return { ...report, samples: report.samples as S };
}

/** A client of the measurement runs. */
const measuring = (client = 'bench rr'): Promise<boolean> =>
  until(() => listResidents(NAMES).some(({ command }) => command.includes(client)), BUILT_MS);

test('kill -9 while it measures removes everything; another one is refused meanwhile', {
  timeout: 90_000,
}, async () => {
  const child = startBench();
  expect(await measuring()).toBe(true);
  const other = await capture([process.execPath, ISTHMUS, 'bench', ...SHORT]);
  expect([other.status, other.stderr]).toEqual([1, expect.stringContaining('a benchmark runs already')]);
  child.kill('SIGKILL');
  expect(await until(() => remains().length === 0, GONE_MS)).toBe(true);
});

test('Ctrl-C removes everything before the command ends', { timeout: 90_000 }, async () => {
  const child = startBench();
  expect(await measuring()).toBe(true);
  child.kill('SIGINT');
  expect(await ended(child)).toBe(130);
  expect(remains()).toEqual([]);
});

test('kill -9 while translation is measured removes everything', { timeout: 90_000 }, async () => {
  const child = startBench([...SHORT_NAT, 'port-reuse']);
  expect(await measuring('bench crr')).toBe(true);
  child.kill('SIGKILL');
  expect(await until(() => remains().length === 0, GONE_MS)).toBe(true);
});

test('translation: 64 k flows get through, ports are found, costs are measured; nothing is left', {
  timeout: 90_000,
}, async () => {
  const sections = 'programs,packets,many-flows,probes,journal';
  const argv = [process.execPath, ISTHMUS, 'bench', ...SHORT_NAT, sections];
  const { status, stdout, stderr } = await capture(argv, { timeout: 80_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('measuring many-flows')]);
  const { missing, samples } = readOutput<NatSamples>(stdout);
  expect(missing.filter(({ name }) => name !== 'masquerade')).toEqual([]);
  const [many] = samples.manyFlows;
  expect(many).toMatchObject({ flows: 65_536, held: 65_536, sent: 65_536, arrived: 65_536, answered: 65_536 });
  expect(samples.probes.map(({ live, refused }) => [live, refused])).toEqual([
    [128, 0],
    [230, 0],
    [248, 0],
  ]);
  expect(samples.programs).toHaveLength(12);
  expect(samples.programs.every(({ nanoseconds }) => nanoseconds > 0)).toBe(true);
  expect(samples.packets.filter(({ peer }) => peer !== 'masquerade').every(({ lost }) => lost < 0.1)).toBe(true);
  expect(remains()).toEqual([]);
});

test("Services: kube-proxy's rules carry connections by each of its tools, as we do; nothing is left", {
  timeout: 90_000,
}, async () => {
  const only = 'maglev,programs,latency,shared-backend,node-port';
  const flags = ['service', '--rounds', '1', '--quick', '--sizes', '10', '-o', 'json', '--only', only];
  const { status, stdout, stderr } = await capture([process.execPath, ISTHMUS, 'bench', ...flags], { timeout: 80_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('measuring node-port')]);
  const { missing, notes, samples } = readOutput<ServiceSamples>(stdout);
  expect(missing).toEqual([]);
  expect(notes).toContainEqual(expect.stringMatching(/^kube-proxy: /));
  const direct = ['direct', 'direct-again', 'direct-hooked'];
  const peers = [...direct, 'iptables-legacy', 'iptables-nft', 'nftables', 'packet', 'socket'];
  for (const name of ['rr', 'crr']) {
    const runs = samples.latency.filter(({ test }) => test === name).sort((a, b) => a.peer.localeCompare(b.peer));
    expect(runs.map(({ peer, services, errors }) => [peer, services, errors])).toEqual(
      peers.map((peer) => [peer, 10, 0]),
    );
    expect(runs.every(({ p50, count }) => p50 > 1 && count > 100)).toBe(true);
  }
  const shared = samples.sharedBackend.filter(({ peer }) => peer === 'packet' || peer === 'socket');
  expect(shared.map(({ errors, synRetransmits }) => [errors, synRetransmits])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  const forwarders = new Set(samples.nodePort.map(({ peer }) => peer));
  expect([...forwarders].sort()).toEqual(['iptables-legacy', 'iptables-nft', 'nftables', 'ours', 'ours, XDP']);
  expect(samples.nodePort.flatMap(({ error }) => error ?? [])).toEqual([]);
  expect(samples.programs.map(({ net }) => net.length > 0 && net.every((ns) => ns > 0))).toEqual([true, true, true]);
  expect(remains()).toEqual([]);
});

test('one round of one section has ratios, samples and a self-check in both files, and leaves nothing', {
  timeout: 90_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-files-'));
  const [json, page] = [join(directory, 'new/results.json'), join(directory, 'page.html')];
  const argv = [process.execPath, ISTHMUS, 'bench', ...SHORT, '--json', json, '--report', page];
  const { status, stdout, stderr } = await capture(argv, { timeout: 80_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('round 1 of 1')]);
  expect(stderr).toContain(`bench: results: ${json}\nbench: report: ${page}\n`);
  expect(readFileSync(json, 'utf8')).toBe(stdout);
  expect(readFileSync(page, 'utf8')).toContain('aria-label="Against the physical limit"');
  rmSync(directory, { recursive: true });
  const report = readOutput<Samples>(stdout);
  expect(report.results.slice(0, 4).map(({ section, what }) => [section, what])).toEqual([
    ['self-check', 'rr'],
    ['self-check', 'crr'],
    ['same-node', 'rr'],
    ['same-node', 'crr'],
  ]);
  expect(report.times.map(({ path, test, troubled }) => [path, test, troubled])).toContainEqual(['same-node', 'rr', 0]);
  expect(report.results.every(({ spread }) => spread !== undefined)).toBe(true);
  expect(report.samples.latency).toHaveLength(10);
  expect(report.samples.latency.every(({ p50, p999, errors }) => p50 > 1 && p999 >= p50 && errors === 0)).toBe(true);
  expect(remains()).toEqual([]);
});

test('pods behind a bridge, first packets, streams of both MTUs and new flows are measured; nothing is left', {
  timeout: 90_000,
}, async () => {
  const flags = ['--rounds', '1', '--quick', '-o', 'json', '--only', 'bridge,first-packet,stream,new-flows'];
  const { status, stdout, stderr } = await capture([process.execPath, ISTHMUS, 'bench', ...flags], { timeout: 80_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('measuring packets')]);
  const { missing, samples, results } = readOutput<Samples>(stdout);
  const others = ['bridge', 'masquerade'].filter((name) => missing.some((one) => one.name === name));
  expect(missing.map(({ name }) => name)).toEqual(others);
  const isHere = ({ name }: { readonly name: string }) => others.every((other) => !name.includes(other));
  const measured = results.filter(isHere).map(({ name, what, spread }) => [name.trim(), what, spread !== undefined]);
  expect(measured.filter(([, , found]) => !found)).toEqual([]);
  const first = samples.latency.filter(({ test }) => test === 'udp_first');
  expect(first.map(({ count, errors }) => [count, errors])).toEqual(first.map(() => [127, 0]));
  expect(samples.streams.map(({ peer, server }) => [peer, server !== undefined])).toContainEqual(['island-9000', true]);
  expect(samples.streams.every(({ gigabitsPerSecond, errors }) => gigabitsPerSecond > 0.1 && errors === 0)).toBe(true);
  const opening = samples.packets.filter(({ kind }) => kind === 'new flows');
  expect(opening.map(({ peer }) => peer)).toEqual(expect.arrayContaining(['flat', 'island', 'routed']));
  expect(remains()).toEqual([]);
});

test('CNI: pods are wired and unwired, one at a time and many at once; nothing is left', {
  timeout: 60_000,
}, async () => {
  const flags = ['cni', '--rounds', '1', '-o', 'json'];
  const { status, stdout, stderr } = await capture([process.execPath, ISTHMUS, 'bench', ...flags], { timeout: 50_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('measuring together')]);
  const { missing, samples } = readOutput<CniSamples>(stdout);
  const peers = missing.some(({ name }) => name === 'bridge') ? ['isthmus'] : ['bridge', 'isthmus'];
  const counts = samples.requests.map(({ peer, section, command, milliseconds }) => {
    expect(milliseconds.every((time) => time > 0)).toBe(true);
    return `${peer} ${section} ${command} ${milliseconds.length}`;
  });
  const kinds = ['alone ADD 1', 'alone DEL 1', 'together ADD 20', 'together DEL 20'];
  expect(counts.sort()).toEqual(peers.flatMap((peer) => kinds.map((kind) => `${peer} ${kind}`)));
  expect(remains()).toEqual([]);
});
