// A benchmark goes away with its process, however that process ends, and there is only one at a time.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { allNamespaces, BENCH_DIR, planBench } from '../../src/bench/plan.js';
import { readRecord } from '../../src/bench/record.js';
import type { Result } from '../../src/bench/report.js';
import { capture, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { existingNamespaces } from '../../src/testbed/namespaces.js';
import { cgroupRoot } from '../../src/testbed/node-home.js';
import { listResidents } from '../../src/testbed/residents.js';

const NAMES = allNamespaces(planBench());
const BUILT_MS = 40_000;
const GONE_MS = 15_000;
const SHORT = ['--rounds', '1', '--quick', '--only', 'same-node', '-o', 'json'];
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

function startBench(): ChildProcess {
  runner = spawn(process.execPath, [ISTHMUS, 'bench', ...SHORT], { stdio: 'ignore' });
  return runner;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.on('exit', resolve);
  });
}

/** A client of the measurement runs. */
const measuring = (): Promise<boolean> =>
  until(() => listResidents(NAMES).some(({ command }) => command.includes('bench rr')), BUILT_MS);

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

test('one round of one section has ratios, samples and a self-check, and leaves nothing', {
  timeout: 90_000,
}, async () => {
  const { status, stdout, stderr } = await capture([process.execPath, ISTHMUS, 'bench', ...SHORT], { timeout: 80_000 });
  expect([status, stderr]).toEqual([0, expect.stringContaining('round 1 of 1')]);
  const report = JSON.parse(stdout);
  expect(report.results.slice(0, 4).map(({ section, what }: Result) => [section, what])).toEqual([
    ['self-check', 'rr'],
    ['self-check', 'crr'],
    ['same-node', 'rr'],
    ['same-node', 'crr'],
  ]);
  expect(report.results.every(({ spread }: Result) => spread !== undefined)).toBe(true);
  expect(report.samples.latency).toHaveLength(8);
  expect(
    report.samples.latency.every(({ p50, errors }: { p50: number; errors: number }) => p50 > 1 && errors === 0),
  ).toBe(true);
  expect(remains()).toEqual([]);
});
