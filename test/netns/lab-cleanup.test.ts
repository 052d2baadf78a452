// A lab goes away with the process that built it, however that process ends, at any point of its life.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { takeDown } from '../../src/lab/down.js';
import { allNamespaces, LAB_DIR, planLab } from '../../src/lab/plan.js';
import { readRecord } from '../../src/lab/record.js';
import { capture, pause, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { cgroupRoot } from '../../src/testbed/node-home.js';
import { listResidents } from '../../src/testbed/residents.js';

const NAMES = allNamespaces(planLab('island'));
const BUILT_MS = 40_000;
const GONE_MS = 15_000;
let runner: ChildProcess | undefined;

beforeAll(() => {
  if (readRecord()) throw new Error(`a lab is up (${LAB_DIR}): this test would remove it. Run: isthmus lab down`);
});

afterEach(async () => {
  runner?.kill('SIGKILL');
  expect(await takeDown()).toEqual([]);
});

/** Everything of a lab that can be left behind, by kind. */
function remains(): string[] {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => NAMES.includes(name)) : [];
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${LAB_DIR}/`));
  const cgroups = readdirSync(cgroupRoot()).filter((name) => NAMES.includes(name));
  const processes = listResidents(NAMES).map(({ pid, command }) => `${pid} ${command}`);
  return [...namespaces, ...mounts, ...cgroups, ...processes, ...(existsSync(LAB_DIR) ? [LAB_DIR] : [])];
}

function startLab(verb: 'up' | 'run'): ChildProcess {
  runner = spawn(process.execPath, [ISTHMUS, 'lab', verb], { stdio: 'ignore' });
  return runner;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.on('exit', resolve);
  });
}

/** The last namespace exists, and the agents are being started. */
const halfBuilt = (): Promise<boolean> => until(() => listResidents(NAMES).length > 0, BUILT_MS);

test('kill -9 of a lab that is being built removes it', { timeout: 60_000 }, async () => {
  const child = startLab('up');
  expect(await halfBuilt()).toBe(true);
  child.kill('SIGKILL');
  expect(await until(() => remains().length === 0, GONE_MS)).toBe(true);
});

test('kill -9 of a running check removes the lab and ends its traffic', { timeout: 90_000 }, async () => {
  const child = startLab('run');
  const traffic = (): boolean => listResidents(NAMES).some(({ command }) => command.includes('tcpdump'));
  expect(await until(traffic, BUILT_MS)).toBe(true);
  child.kill('SIGKILL');
  expect(await until(() => remains().length === 0, GONE_MS)).toBe(true);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s removes the lab before the command ends',
  { timeout: 60_000 },
  async (signal) => {
    const child = startLab('run');
    expect(await halfBuilt()).toBe(true);
    await pause(200);
    child.kill(signal);
    expect(await ended(child)).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(remains()).toEqual([]);
  },
);

test('down removes what is left of a half-built lab without a record', async () => {
  await capture(['ip', 'netns', 'add', 'ist-c1-n1']);
  await capture(['mkdir', '-p', `${LAB_DIR}/c1-n1/bpf`, `${cgroupRoot()}/ist-c1-n1/pod-a`]);
  await capture(['mount', '-t', 'bpf', 'bpf', `${LAB_DIR}/c1-n1/bpf`]);
  expect(remains()).toHaveLength(4);
  expect(await takeDown()).toEqual([]);
  expect(remains()).toEqual([]);
});

test('down without a lab has nothing to do', async () => {
  expect(await takeDown()).toEqual([]);
});
