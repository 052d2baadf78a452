// A node and the world outside it, in namespaces and a cgroup of this test run; all of it goes when the run ends.
//
//   pod … eth0 --- ist…\                                        / lo 198.51.100.9  2001:db8:64::9
//                        node eth0 .10 --- 192.0.2.0/24 --- .1 eth0 outside (a server on port 8080)
//   pod … eth0 --- ist…/            2001:db8:2::/64
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeReport } from '../../src/lab/probe.js';
import { type CommandResult, capture, enter, run, start, until } from '../../src/testbed/command.js';
import { PROBE } from '../../src/testbed/files.js';
import { cgroupRoot } from '../../src/testbed/node-home.js';
import type { HoldReport } from './hold-connections.js';

export const NODE = { ipv4: '192.0.2.10', ipv6: '2001:db8:2::10' };
export const OUTSIDE = { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' };
/** Another remote: the same server by another address. */
export const BEYOND = { ipv4: '198.51.100.9', ipv6: '2001:db8:64::9' };
export const PORT = 8080;

/**
 * Waits for the end of its stdin, which the kernel closes when the test run dies in whatever way. Then everything goes:
 * the cgroup's processes, mounts, cgroups, namespaces, files. $1 directory, $2 cgroup, $3 prefix of the namespaces.
 */
const REAPER = `trap "" INT TERM HUP; cat >/dev/null
echo 1 >"$2/cgroup.kill"
for try in $(seq 100); do
  find "$2" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$2" ] || break
  sleep 0.1
done
umount -l "$1/bpf" 2>/dev/null
for name in $(ls /run/netns | grep -E "^(ist-fr-)?$3"); do ip netns del "$name"; done
rm -rf --one-file-system "$1"`;

export interface RunningProbe {
  readonly report: Promise<ProbeReport>;
  stop(): Promise<ProbeReport>;
}

/** Connections that are open, and how they came to be. */
export interface HeldConnections extends HoldReport {
  close(): Promise<void>;
}

const HOLD_CONNECTIONS = join(import.meta.dirname, 'hold-connections.ts');

let count = 0;

export class NodeWorld implements AsyncDisposable {
  /** Temporary directory of everything. */
  readonly directory: string;
  /** A mount of its own. */
  readonly bpffs: string;
  /** Of the node: its own processes, and below it those of pods. */
  readonly cgroup: string;
  /** Of the node and of who is outside. */
  readonly #worldCgroup: string;
  readonly #outsiders = new Set(['outside']);
  readonly #prefix: string;
  readonly #reaper: ChildProcess;

  protected constructor() {
    // Short: the names of namespaces and of sockets have little room.
    this.#prefix = `ist-t${process.pid}-${count++}-`;
    this.directory = mkdtempSync(join(tmpdir(), 'ist-t'));
    this.bpffs = join(this.directory, 'bpf');
    this.#worldCgroup = join(cgroupRoot(), this.#prefix.slice(0, -1));
    this.cgroup = join(this.#worldCgroup, 'node');
    this.#reaper = spawn('/bin/sh', ['-c', REAPER, 'sh', this.directory, this.#worldCgroup, this.#prefix], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#reaper.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#reaper.once('close', resolve));
    this.#reaper.stdin?.end();
    await ended;
    if (existsSync(this.directory) || existsSync(this.#worldCgroup)) {
      throw new Error(`not all of the test was removed: see ${this.directory} and ${this.#worldCgroup}`);
    }
  }

  netns(name: string): string {
    return `${this.#prefix}${name}`;
  }

  netnsPath(name: string): string {
    return `/run/netns/${this.netns(name)}`;
  }

  /** Runs `ip` in a namespace. */
  ip(name: string, line: string): Promise<string> {
    return run(['ip', '-n', this.netns(name), ...line.split(' ')]);
  }

  /** Creates the namespace of a pod; CNI is another step. */
  async addNamespace(...names: string[]): Promise<void> {
    const input = names.map((name) => `netns add ${this.netns(name)}\n`).join('');
    await run(['ip', '-batch', '-'], { input });
  }

  /** Creates the namespaces of hosts outside: the node's programs do not see their sockets. */
  async addHosts(...names: string[]): Promise<void> {
    for (const name of names) this.#outsiders.add(name);
    await this.addNamespace(...names);
  }

  async deleteNamespace(name: string): Promise<void> {
    await run(['ip', 'netns', 'del', this.netns(name)]);
  }

  /** Runs a program in a namespace and in its cgroup. */
  exec(name: string, argv: readonly string[], timeout = 20_000): Promise<CommandResult> {
    return capture(argv, { netns: this.netns(name), cgroup: this.cgroupOf(name), timeout });
  }

  /** One line of the probe, run in a namespace. */
  async probe(name: string, ...words: string[]): Promise<ProbeReport> {
    const { stdout, stderr, status } = await this.exec(name, [PROBE, ...words]);
    if (stdout.startsWith('{')) return JSON.parse(stdout) as ProbeReport;
    return { ok: false, ms: 0, error: `status ${status}: ${stderr}` };
  }

  /** The probe in the background; its report when it has ended, or was told to by SIGTERM. */
  startProbe(name: string, ...words: string[]): RunningProbe {
    const argv = enter([PROBE, ...words], { netns: this.netns(name), cgroup: this.cgroupOf(name) });
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { promise, resolve } = Promise.withResolvers<ProbeReport>();
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('close', () => resolve(text.startsWith('{') ? JSON.parse(text) : { ok: false, ms: 0, error: text }));
    const stop = (): Promise<ProbeReport> => {
      child.kill('SIGTERM');
      return promise;
    };
    return { report: promise, stop };
  }

  /** Opens many TCP connections from a namespace; they stay until `close`. */
  async holdConnections(name: string, address: string, count: number): Promise<HeldConnections> {
    const script = [process.execPath, HOLD_CONNECTIONS, address, String(PORT), String(count)];
    const [file = '', ...args] = enter(script, { netns: this.netns(name), cgroup: this.cgroupOf(name) });
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const { promise, resolve, reject } = Promise.withResolvers<HoldReport>();
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.endsWith('\n')) resolve(JSON.parse(text) as HoldReport);
    });
    child.once('close', (status) => reject(new Error(`hold-connections in ${name} ended with ${status}: ${text}`)));
    const close = (): Promise<void> => {
      child.stdin.end();
      return ended;
    };
    return { ...(await promise), close };
  }

  /** Starts a server in a namespace and waits until it listens. */
  async startServer(name: string): Promise<void> {
    start([PROBE, 'serve', '--port', String(PORT)], {
      netns: this.netns(name),
      cgroup: this.cgroupOf(name),
      log: join(this.directory, 'servers.log'),
    });
    const words = ['tcp', '127.0.0.1', String(PORT), 'who', '--timeout', '500'];
    if (!(await until(async () => (await this.probe(name, ...words)).ok, 5000)))
      throw new Error(`no server in ${name}`);
  }

  /** The node's, one below it for each pod, or one beside it for who is outside. */
  cgroupOf(name: string): string {
    if (name === 'node') return this.cgroup;
    const cgroup = join(this.#outsiders.has(name) ? this.#worldCgroup : this.cgroup, name);
    mkdirSync(cgroup, { recursive: true });
    return cgroup;
  }

  /** Builds the node and the world outside, with a server there. */
  protected async build(): Promise<void> {
    for (const path of [this.bpffs, this.cgroup]) mkdirSync(path, { recursive: true });
    await run(['mount', '-t', 'bpf', 'bpf', this.bpffs]);
    await this.addNamespace('node', 'outside');
    await this.#connect();
    await this.startServer('outside');
  }

  async #connect(): Promise<void> {
    const [node, outside] = [this.netns('node'), this.netns('outside')];
    await run(['ip', '-batch', '-'], {
      input: `link add eth0 netns ${node} type veth peer name eth0 netns ${outside}\n`,
    });
    await this.lines('node', [
      'link set lo up',
      `addr add ${NODE.ipv4}/24 dev eth0`,
      `addr add ${NODE.ipv6}/64 dev eth0 nodad`,
      'link set eth0 up',
    ]);
    await this.lines('outside', [
      'link set lo up',
      `addr add ${BEYOND.ipv4}/32 dev lo`,
      `addr add ${BEYOND.ipv6}/128 dev lo nodad`,
      `addr add ${OUTSIDE.ipv4}/24 dev eth0`,
      `addr add ${OUTSIDE.ipv6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add 10.244.0.0/16 via ${NODE.ipv4}`,
      `route add fd00:244::/32 via ${NODE.ipv6}`,
    ]);
    await this.lines('node', [`route add default via ${OUTSIDE.ipv4}`, `route add default via ${OUTSIDE.ipv6}`]);
  }

  /** Runs `ip` in a namespace, once with many lines. */
  async lines(name: string, lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.netns(name), '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}

/** Where the server saw the client: address and port. */
export function sawOf(report: ProbeReport): { address: string; port: number } {
  const text = report.saw ?? '';
  const colon = text.lastIndexOf(':');
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
