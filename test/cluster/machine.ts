// One machine: a network namespace with mounts, processes, cgroups and a host name of its own, and what runs on it.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import type { CommandOptions, CommandResult } from '../../src/testbed/command.js';
import { capture, run, start, until } from '../../src/testbed/command.js';
import { TestbedError } from '../../src/testbed/error.js';
import { ROOT } from '../../src/testbed/files.js';
import type { Machine } from './plan.js';

const INIT = `${ROOT}/test/cluster/machine-init.sh`;
const CGROUPS = '/sys/fs/cgroup';
const READY_MS = 10_000;

/** Starts the machine, which sees the shared folders. It lives until `stdin` of the child is closed, by us or by our end. */
export async function startMachine(machine: Machine, shared: readonly string[]): Promise<ChildProcess> {
  mkdirSync(machine.directory, { recursive: true });
  for (const hierarchy of hierarchies()) makeCgroup(`${hierarchy}/${machine.netns}`);
  const namespaces = ['--mount', '--uts', '--ipc', '--cgroup', '--pid', '--fork', '--kill-child'];
  const argv = ['unshare', ...namespaces, '--propagation', 'private', INIT, machine.name, machine.directory, ...shared];
  const [file = '', ...args] = insideCgroups(machine, ['nsenter', `--net=/run/netns/${machine.netns}`, ...argv]);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.on('error', () => {});
  const ready = (): boolean => said.includes('ready\n') || child.exitCode !== null;
  if (!(await until(ready, READY_MS)) || child.exitCode !== null) {
    throw new TestbedError(`machine ${machine.name} did not start: ${said.trim() || 'it said nothing'}`);
  }
  writeFileSync(pidFile(machine), `${firstProcess(child.pid ?? 0)}\n`);
  return child;
}

/** Runs a program on the machine to its end; a non-zero status is not an error here. */
export function captureOn(
  machine: Machine,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return capture(onMachine(machine, argv), options);
}

/** Runs a program on the machine that must succeed and returns what it printed. */
export function runOn(machine: Machine, argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  return run(onMachine(machine, argv), options);
}

/** Starts a daemon on the machine; its output is in `NAME.log` of the machine's folder. */
export function startDaemon(machine: Machine, name: string, argv: readonly string[]): void {
  // The shell's pid, which becomes the daemon's, is one of the machine's own process numbers.
  const script = ['sh', '-c', 'echo $$ > "$0" && exec "$@"', daemonFile(machine, name), ...argv];
  start(onMachine(machine, ['setsid', ...script]), { log: logFile(machine, name) });
}

/** Ends a daemon without any chance to clean up, and waits until it is gone. */
export async function killDaemon(machine: Machine, name: string): Promise<void> {
  const pid = readFileSync(daemonFile(machine, name), 'utf8').trim();
  await runOn(machine, ['kill', '-KILL', pid]);
  const gone = async (): Promise<boolean> => (await captureOn(machine, ['test', '-d', `/proc/${pid}/fd`])).status !== 0;
  if (!(await until(gone, 5000))) throw new TestbedError(`${name} on ${machine.name} survived SIGKILL`);
}

/** The end of a daemon's log, for error messages. */
export function logTail(machine: Machine, name: string): string {
  const path = logFile(machine, name);
  return `end of ${path}:\n${readFileSync(path, 'utf8').trimEnd().split('\n').slice(-12).join('\n')}`;
}

/** Removes the machine's cgroups, whose processes must be gone; returns those that stayed. */
export async function removeCgroups(machine: Machine): Promise<string[]> {
  const paths = hierarchies().map((hierarchy) => `${hierarchy}/${machine.netns}`);
  const left = (): string[] => paths.filter((path) => !removeTree(path));
  await until(() => left().length === 0, 5000);
  return left().map((path) => `cgroup ${path}`);
}

/** The argument vector that runs a program with all the machine's namespaces. */
function onMachine(machine: Machine, argv: readonly string[]): string[] {
  const pid = readFileSync(pidFile(machine), 'utf8').trim();
  const kinds = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
  return insideCgroups(machine, ['nsenter', '--target', pid, ...kinds, '--wd=/', ...argv]);
}

/** A cgroup namespace shows what one is in as the root, so one has to be in there first. */
function insideCgroups({ netns }: Machine, argv: readonly string[]): string[] {
  const script = `for own in ${CGROUPS}/*/"$0"/cgroup.procs; do echo 0 > "$own" || exit 1; done; exec "$@"`;
  return ['sh', '-c', script, netns, ...argv];
}

/** Mount points of the cgroup hierarchies, of v1 and v2. */
function hierarchies(): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const points = mounts.flatMap(([, point = '', type]) => (type === 'cgroup' || type === 'cgroup2' ? point : []));
  return [...new Set(points)].filter((point) => point.startsWith(`${CGROUPS}/`));
}

/** A new cgroup of the cpuset controller has no processors, and takes no process before it does. */
function makeCgroup(path: string): void {
  mkdirSync(path, { recursive: true });
  if (!path.startsWith(`${CGROUPS}/cpuset/`)) return;
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    writeFileSync(`${path}/${file}`, readFileSync(`${CGROUPS}/cpuset/${file}`));
  }
}

function removeTree(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && !removeTree(`${path}/${entry.name}`)) return false;
    }
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** unshare's child, by our own process numbers. */
function firstProcess(unshare: number): number {
  const children = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim().split(' ');
  if (children[0] === undefined || children[0] === '') throw new TestbedError(`process ${unshare} has no child`);
  return Number(children[0]);
}

function pidFile(machine: Machine): string {
  return `${machine.directory}/init.pid`;
}

function daemonFile(machine: Machine, name: string): string {
  return `${machine.directory}/${name}.pid`;
}

function logFile(machine: Machine, name: string): string {
  return `${machine.directory}/${name}.log`;
}
