// Runs other programs: with a deadline, in a network namespace, in a cgroup, or detached into the background.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface CommandOptions {
  /** Name of a network namespace below /run/netns. */
  readonly netns?: string;
  /** Directory of the cgroup that the process joins before it starts. */
  readonly cgroup?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Milliseconds until SIGKILL. */
  readonly timeout?: number;
}

export interface CommandResult {
  /** Exit status; 128 + signal number when a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class CommandError extends Error {
  readonly code = 'ERR_COMMAND';
}

const DEFAULT_TIMEOUT = 30_000;
const KILLED = 137;

/** The argument vector that puts a program into a namespace and a cgroup. */
export function enter(argv: readonly string[], options: CommandOptions): string[] {
  // Not `ip netns exec`: it mounts a new /sys and hides bpffs and cgroups.
  const inside = options.netns ? ['nsenter', `--net=/run/netns/${options.netns}`, ...argv] : [...argv];
  if (!options.cgroup) return inside;
  return ['/bin/sh', '-c', 'echo 0 > "$0/cgroup.procs" && exec "$@"', options.cgroup, ...inside];
}

/** Runs a program to its end; a non-zero status is not an error here. */
export function capture(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = enter(argv, options);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      timeout: options.timeout ?? DEFAULT_TIMEOUT,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // A program that exits without reading its input is judged by its status, not by our broken pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? KILLED, stdout, stderr }));
  });
}

/** Runs a program that must succeed and returns what it printed. Throws CommandError with what it said. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await capture(argv, options);
  if (result.status === 0) return result.stdout;
  const where = options.netns ? ` in ${options.netns}` : '';
  const said = (result.stderr || result.stdout).trim().split('\n').slice(-5).join('; ');
  throw new CommandError(
    `'${argv.join(' ')}'${where} failed with status ${result.status}: ${said || 'it said nothing'}`,
  );
}

/** Starts a program that outlives us, its output appended to a file; returns its pid. */
export function start(argv: readonly string[], options: CommandOptions & { readonly log: string }): number {
  const [file = '', ...args] = enter(argv, options);
  const log = openSync(options.log, 'a');
  try {
    const env = options.env ?? process.env;
    const child = spawn(file, args, { stdio: ['ignore', log, log], detached: true, env });
    if (child.pid === undefined) throw new CommandError(`cannot start '${argv.join(' ')}'`);
    child.on('error', () => {});
    child.unref();
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Resolves after a while. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Asks until the answer is true; false when the deadline passes first. */
export async function until(question: () => Promise<boolean> | boolean, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    if (await question()) return true;
    if (performance.now() > deadline) return false;
    await pause(20);
  }
}
