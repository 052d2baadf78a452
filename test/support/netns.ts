// Network namespaces of one test file: created together, and removed also when the test run is killed.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** Waits for the end of its stdin, which the kernel closes when the test run dies in whatever way. */
const REAPER = 'trap "" INT TERM HUP; cat >/dev/null; for name in "$@"; do ip netns del "$name"; done';

export interface TestNamespaces extends Disposable {
  /** Full name of a namespace, e.g. `ist-4711-left`. */
  name(short: string): string;
  /** For `--net=` and for the addon. */
  path(short: string): string;
  /** Runs `ip` once with many lines; `@left` in a line stands for the namespace's full name. Throws with what it said. */
  ip(lines: readonly string[]): void;
  /** Runs a program inside and returns its stdout. Throws with what it said when it fails. */
  run(short: string, argv: readonly string[], input?: string): string;
  /** Starts a program inside; it is killed at the end. */
  start(short: string, argv: readonly string[]): ChildProcess;
}

/** Creates `ist-PID-NAME` for each name, with its loopback up. */
export function openNamespaces(...shorts: string[]): TestNamespaces {
  const prefix = `ist-${process.pid}-`;
  const names = shorts.map((short) => `${prefix}${short}`);
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'sh', ...names], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  reaper.unref();
  const children: ChildProcess[] = [];
  const name = (short: string): string => `${prefix}${short}`;
  const path = (short: string): string => `/run/netns/${name(short)}`;
  const ip = (lines: readonly string[]): void => {
    const input = lines.map((line) => line.replace(/@(\w+)/g, (_, short: string) => name(short))).join('\n');
    execute(['ip', '-batch', '-'], `${input}\n`);
  };
  ip(names.map((one) => `netns add ${one}`));
  for (const one of names) execute(['ip', '-n', one, 'link', 'set', 'lo', 'up']);
  return {
    name,
    path,
    ip,
    run: (short, argv, input) => execute(['nsenter', `--net=${path(short)}`, ...argv], input),
    start(short, argv) {
      const child = spawn('nsenter', [`--net=${path(short)}`, ...argv]);
      children.push(child);
      return child;
    },
    [Symbol.dispose]() {
      for (const child of children) child.kill('SIGKILL');
      for (const pid of names.flatMap(processesIn)) process.kill(pid, 'SIGKILL');
      execute(['ip', '-batch', '-'], names.map((one) => `netns del ${one}\n`).join(''));
      reaper.stdin?.end();
    },
  };
}

function execute(argv: readonly string[], input = ''): string {
  const [file = '', ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(file, args, { input, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`'${argv.join(' ')}' ended with ${status}: ${error?.message ?? stderr}${stdout}`);
}

/** Processes that live in a namespace, however they got there. */
export function processesIn(name: string): number[] {
  const wanted = `net:[${statSync(`/run/netns/${name}`).ino}]`;
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) === wanted && readFileSync(`/proc/${pid}/cmdline`).length > 0;
      } catch {
        return false; // it ended while we looked
      }
    })
    .map(Number);
}
