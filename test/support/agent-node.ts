// One node with a real agent, its pods, and the world outside, in namespaces of this test run.
//
//   pod … eth0 --- ist…\                                        / lo 198.51.100.9  2001:db8:64::9
//                        node eth0 .10 --- 192.0.2.0/24 --- .1 eth0 outside (a server on port 8080)
//   pod … eth0 --- ist…/            2001:db8:2::/64
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAgentClient } from '../../src/api/client.js';
import type { AgentStatus } from '../../src/api/protocol.js';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import type { ProbeReport } from '../../src/lab/case-runner.js';
import { type CommandResult, capture, enter, run, start, until } from '../../src/testbed/command.js';
import { CNI_PLUGIN, ISTHMUS, PROBE } from '../../src/testbed/files.js';
import { cgroupRoot } from '../../src/testbed/node-home.js';

export const NODE = { ipv4: '192.0.2.10', ipv6: '2001:db8:2::10' };
export const OUTSIDE = { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' };
/** Another remote: the same server by another address. */
export const BEYOND = { ipv4: '198.51.100.9', ipv6: '2001:db8:64::9' };
export const PORT = 8080;
const READY_MS = 30_000;

/**
 * Waits for the end of its stdin, which the kernel closes when the test run dies in whatever way. Then everything goes:
 * the cgroup's processes, mounts, cgroups, namespaces, files. $1 directory, $2 cgroup, $3 prefix of the namespaces.
 */
const REAPER = `trap "" INT TERM HUP; cat >/dev/null
echo 1 >"$2/cgroup.kill"
for try in 1 2 3 4 5 6 7 8 9 10; do
  find "$2" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$2" ] || break
  sleep 0.1
done
umount -l "$1/bpf" 2>/dev/null
for name in $(ls /run/netns | grep "^$3"); do ip netns del "$name"; done
rm -rf --one-file-system "$1"`;

export interface CniCallOptions {
  readonly containerID?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Standard input as it is; otherwise a configuration with `cniVersion` and `config`. */
  readonly stdin?: string;
  readonly cniVersion?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface CniOutcome {
  readonly status: number;
  readonly stdout: string;
  /** What was printed, when it was JSON. */
  readonly json: CniJson;
}

/** A result or an error of the plugin. */
export interface CniJson {
  readonly cniVersion?: string;
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
  readonly ips?: readonly { readonly address: string; readonly version?: string; readonly interface: number }[];
  readonly interfaces?: readonly { readonly name: string; readonly mac: string; readonly sandbox?: string }[];
}

export interface NetworkSpec {
  readonly ipv4?: object;
  readonly ipv6?: object;
  readonly nat?: object;
  readonly timeouts?: object;
}

export interface FlowEntry {
  readonly key: FlowKey;
  readonly value: FlowKey & { readonly flags: number; readonly packets: bigint; readonly ifindex_in: number };
}

interface FlowKey {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
}

let count = 0;

/** Everything that the tests of one file share: made once, removed by dispose. */
export class AgentNode implements AsyncDisposable {
  /** Temporary directory of everything. */
  readonly directory: string;
  readonly manifests: string;
  readonly stateDir: string;
  readonly bpffs: string;
  readonly cgroup: string;
  readonly logFile: string;
  readonly #prefix: string;
  readonly #reaper: ChildProcess;
  #flags: Readonly<Record<string, string>> = {};
  #pid = 0;
  #logStart = 0;

  private constructor() {
    // Short: the names of namespaces and of sockets have little room.
    this.#prefix = `ist-t${process.pid}-${count++}-`;
    this.directory = mkdtempSync(join(tmpdir(), 'ist-t'));
    this.manifests = join(this.directory, 'manifests');
    this.stateDir = join(this.directory, 'state');
    this.bpffs = join(this.directory, 'bpf');
    this.cgroup = join(cgroupRoot(), this.#prefix.slice(0, -1));
    this.logFile = join(this.directory, 'agent.log');
    this.#reaper = spawn('/bin/sh', ['-c', REAPER, 'sh', this.directory, this.cgroup, this.#prefix], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#reaper.unref();
  }

  /** Builds the node and the world outside, with a server there; no agent yet. */
  static async open(): Promise<AgentNode> {
    const node = new AgentNode();
    try {
      await node.#build();
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#reaper.once('close', resolve));
    this.#reaper.stdin?.end();
    await ended;
  }

  get pid(): number {
    return this.#pid;
  }

  get socket(): string {
    return join(this.stateDir, 'agent.sock');
  }

  /** Lines of the agent's log since the last start, decoded. */
  log(): Record<string, unknown>[] {
    const text = readFileSync(this.logFile, 'utf8').slice(this.#logStart);
    const lines = text.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
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

  /** Replaces a manifest by one rename. */
  write(file: string, ...objects: readonly (object | string)[]): void {
    const text = objects.map((object) => (typeof object === 'string' ? object : stringify(object))).join('---\n');
    writeFileSync(join(this.directory, file), text);
    renameSync(join(this.directory, file), join(this.manifests, file));
  }

  writeNetwork(spec: NetworkSpec = {}): void {
    this.write('network.yaml', network(spec));
  }

  writeNode(...podCIDRs: string[]): void {
    this.write('node.yaml', nodeObject('n1', [NODE.ipv4, NODE.ipv6], podCIDRs));
  }

  /** An island of both families with this node. */
  writeManifests(spec: NetworkSpec = {}): void {
    this.writeNetwork(spec);
    this.writeNode('10.244.1.0/24', 'fd00:244:1::/64');
  }

  /** Starts an agent with the flags of the last start, or others; resolves when it serves its socket. */
  async startAgent(flags: Readonly<Record<string, string>> = this.#flags): Promise<AgentStatus> {
    this.spawnAgent(flags);
    const ready = async (): Promise<boolean> => this.isAlive() && (await this.status())?.pid === this.#pid;
    const gone = (): boolean => !this.isAlive();
    await until(async () => gone() || (await ready()), READY_MS);
    const status = await this.status();
    if (status !== undefined) return status;
    throw new Error(`the agent is ${gone() ? 'gone' : 'not ready'}:\n${readFileSync(this.logFile, 'utf8')}`);
  }

  /** Starts it and waits for nothing. */
  spawnAgent(flags: Readonly<Record<string, string>> = this.#flags, tree?: string): number {
    this.#flags = flags;
    this.#logStart = readFileSync(this.logFile, 'utf8').length;
    this.#pid = start([process.execPath, programOf(tree), 'agent', ...this.agentFlags(flags)], {
      netns: this.netns('node'),
      cgroup: this.cgroup,
      log: this.logFile,
    });
    return this.#pid;
  }

  /** An agent beside the one that runs, or one that is expected to end by itself. */
  runAgent(flags: Readonly<Record<string, string>> = {}, how: RunAgentOptions = {}): Promise<CommandResult> {
    const { env = process.env, prefix = [], tree } = how;
    const argv = [...prefix, process.execPath, programOf(tree), 'agent', ...this.agentFlags(flags)];
    return capture(argv, { netns: this.netns('node'), cgroup: this.cgroup, env: { PATH: process.env.PATH, ...env } });
  }

  /** What is pinned: maps, links. */
  pins(): string[] {
    // The kernel's own two files are in every bpffs.
    return readdirSync(this.bpffs).filter((name) => !name.endsWith('.debug'));
  }

  agentFlags(flags: Readonly<Record<string, string>> = {}): string[] {
    const all = {
      node: 'n1',
      source: this.manifests,
      'state-dir': this.stateDir,
      bpffs: this.bpffs,
      device: 'eth0',
      cgroup: this.cgroup,
      ...flags,
    };
    return Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  }

  /** Ends the agent and waits until it is gone. Returns how long that took, milliseconds. */
  async endAgent(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const started = performance.now();
    process.kill(this.#pid, signal);
    if (!(await until(() => !this.isAlive(), 8000))) throw new Error(`agent ${this.#pid} survived ${signal}`);
    return performance.now() - started;
  }

  isAlive(): boolean {
    try {
      return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${this.#pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  }

  /** undefined when nothing is in force or no agent answers. */
  status(): Promise<AgentStatus | undefined> {
    return createAgentClient(this.socket)
      .status()
      .catch(() => undefined);
  }

  /** Waits until the state in force is as the test wants it. */
  async waitFor(what: (status: AgentStatus) => boolean, milliseconds = 10_000): Promise<AgentStatus> {
    let last: AgentStatus | undefined;
    const found = await until(async () => {
      last = await this.status();
      return last !== undefined && what(last);
    }, milliseconds);
    if (found && last !== undefined) return last;
    const { problems, natPorts, blockSize, modes } = last?.state ?? {};
    const seen = JSON.stringify({ problems, natPorts, blockSize, modes, endpoints: last?.endpoints.length });
    throw new Error(`not in force: ${seen}\n${this.tail()}`);
  }

  tail(): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
  }

  /** Creates the namespace of a pod; CNI is another step. */
  async addNamespace(...names: string[]): Promise<void> {
    const input = names.map((name) => `netns add ${this.netns(name)}\n`).join('');
    await run(['ip', '-batch', '-'], { input });
  }

  async deleteNamespace(name: string): Promise<void> {
    await run(['ip', 'netns', 'del', this.netns(name)]);
  }

  /** Runs the plugin as a container runtime does. */
  async cni(command: string, pod: string, options: CniCallOptions = {}): Promise<CniOutcome> {
    const { cniVersion = '1.1.0', config = {} } = options;
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: options.containerID ?? `container-${pod}`,
      CNI_NETNS: options.netns ?? this.netnsPath(pod),
      CNI_IFNAME: options.ifname ?? 'eth0',
      CNI_ARGS: options.args ?? `IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod}`,
      CNI_PATH: '/opt/cni/bin',
      ISTHMUS_SOCKET: this.socket,
    };
    const input = options.stdin ?? JSON.stringify({ cniVersion, name: 'isthmus', type: 'isthmus-cni', ...config });
    const { status, stdout } = await capture([CNI_PLUGIN], { env, input });
    return { status, stdout, json: stdout.startsWith('{') ? (JSON.parse(stdout) as CniJson) : {} };
  }

  /** Namespace and ADD. Returns the pod's addresses. */
  async addPod(pod: string): Promise<{ ipv4: string; ipv6: string }> {
    await this.addNamespace(pod);
    const { status, stdout, json } = await this.cni('ADD', pod);
    if (status !== 0) throw new Error(`ADD of ${pod}: ${stdout}`);
    const addresses = (json.ips ?? []).map(({ address }) => address.replace(/\/\d+$/, ''));
    return { ipv4: addresses[0] ?? '', ipv6: addresses[1] ?? '' };
  }

  /** DEL, and the namespace too. */
  async deletePod(pod: string): Promise<void> {
    const { status, stdout } = await this.cni('DEL', pod);
    if (status !== 0) throw new Error(`DEL of ${pod}: ${stdout}`);
    await this.deleteNamespace(pod);
  }

  /** Runs a program in a namespace and in the node's cgroup, or in one below it for pods. */
  exec(name: string, argv: readonly string[], timeout = 20_000): Promise<CommandResult> {
    return capture(argv, { netns: this.netns(name), cgroup: this.#cgroupOf(name), timeout });
  }

  /** One line of the probe, run in a namespace. */
  async probe(name: string, ...words: string[]): Promise<ProbeReport> {
    const { stdout, stderr, status } = await this.exec(name, [PROBE, ...words]);
    if (stdout.startsWith('{')) return JSON.parse(stdout) as ProbeReport;
    return { ok: false, ms: 0, error: `status ${status}: ${stderr}` };
  }

  /** The probe in the background; its report when it has ended, or was told to by SIGTERM. */
  startProbe(name: string, ...words: string[]): RunningProbe {
    const argv = enter([PROBE, ...words], { netns: this.netns(name), cgroup: this.#cgroupOf(name) });
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

  /** Starts a server in a namespace and waits until it listens. */
  async startServer(name: string): Promise<void> {
    start([PROBE, 'serve', '--port', String(PORT)], {
      netns: this.netns(name),
      cgroup: this.#cgroupOf(name),
      log: join(this.directory, 'servers.log'),
    });
    const words = ['tcp', '127.0.0.1', String(PORT), 'who', '--timeout', '500'];
    if (!(await until(async () => (await this.probe(name, ...words)).ok, 5000)))
      throw new Error(`no server in ${name}`);
  }

  /** Every entry of a pinned map, decoded by its own BTF. */
  entries<K = unknown, V = unknown>(map: string): (readonly [K, V])[] {
    using pinned = openPinnedMap<K, V>(loadNative(), join(this.bpffs, map));
    return [...pinned.scan()];
  }

  flows(): FlowEntry[] {
    return this.entries<FlowKey, FlowEntry['value']>('flows').map(([key, value]) => ({ key, value }));
  }

  /** Packets dropped for a reason, by its number, of all directions. */
  drops(reason: number): number {
    const all = this.entries<{ reason: number | string }, readonly { packets: bigint }[]>('drops');
    return all
      .filter(([key]) => Number(key.reason) === reason)
      .reduce((sum, [, cpus]) => sum + cpus.reduce((total, { packets }) => total + Number(packets), 0), 0);
  }

  /** Ids of the programs behind the pinned links, by link. */
  async programs(): Promise<Record<string, number>> {
    const ids: Record<string, number> = {};
    for (const link of readdirSync(join(this.bpffs, 'links')).sort()) {
      const text = await run(['bpftool', '-j', 'link', 'show', 'pinned', join(this.bpffs, 'links', link)]);
      ids[link] = (JSON.parse(text) as { prog_id: number }).prog_id;
    }
    return ids;
  }

  /** Devices of the node that belong to pods. */
  async podDevices(): Promise<string[]> {
    const links = JSON.parse(await this.ip('node', '-j link show')) as { ifname: string }[];
    return links.map(({ ifname }) => ifname).filter((name) => name.startsWith('ist'));
  }

  /** Names of the records of pods. */
  records(): string[] {
    return readdirSync(join(this.stateDir, 'endpoints')).sort();
  }

  #cgroupOf(name: string): string {
    if (name === 'node') return this.cgroup;
    const cgroup = join(this.cgroup, name);
    mkdirSync(cgroup, { recursive: true });
    return cgroup;
  }

  async #build(): Promise<void> {
    for (const path of [this.manifests, this.bpffs, this.cgroup]) mkdirSync(path, { recursive: true });
    writeFileSync(this.logFile, '');
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
    await this.#batch('node', [
      'link set lo up',
      `addr add ${NODE.ipv4}/24 dev eth0`,
      `addr add ${NODE.ipv6}/64 dev eth0 nodad`,
      'link set eth0 up',
    ]);
    await this.#batch('outside', [
      'link set lo up',
      `addr add ${BEYOND.ipv4}/32 dev lo`,
      `addr add ${BEYOND.ipv6}/128 dev lo nodad`,
      `addr add ${OUTSIDE.ipv4}/24 dev eth0`,
      `addr add ${OUTSIDE.ipv6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add 10.244.0.0/16 via ${NODE.ipv4}`,
      `route add fd00:244::/32 via ${NODE.ipv6}`,
    ]);
    await this.#batch('node', [`route add default via ${OUTSIDE.ipv4}`, `route add default via ${OUTSIDE.ipv6}`]);
  }

  async #batch(name: string, lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.netns(name), '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}

export interface RunAgentOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Words in front of the command. */
  readonly prefix?: readonly string[];
  /** A copy of the project that it is run from. */
  readonly tree?: string;
}

function programOf(tree: string | undefined): string {
  return tree === undefined ? ISTHMUS : join(tree, 'build/src/cli/main.js');
}

export interface RunningProbe {
  readonly report: Promise<ProbeReport>;
  stop(): Promise<ProbeReport>;
}

export function network({ ipv4 = {}, ipv6 = {}, nat, timeouts }: NetworkSpec = {}): object {
  return {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: {
      clusterID: 'test',
      ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'], ...ipv4 },
      ipv6: { mode: 'Island', podCIDRs: ['fd00:244::/32'], ...ipv6 },
      ...(nat === undefined ? {} : { nat }),
      ...(timeouts === undefined ? {} : { timeouts }),
    },
  };
}

export function nodeObject(name: string, addresses: readonly string[], podCIDRs: readonly string[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** A service by a virtual address, with backends. */
export function service(name: string, address: string, backends: readonly string[]): object[] {
  const ports = [{ name: 'tcp', protocol: 'TCP', port: 80, targetPort: PORT }];
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'test' },
      spec: { type: 'ClusterIP', clusterIP: address, clusterIPs: [address], ports },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace: 'test', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: backends.map((backend) => ({ addresses: [backend], conditions: { ready: true } })),
      ports: [{ name: 'tcp', protocol: 'TCP', port: PORT }],
    },
  ];
}

/** Where the server saw the client: address and port. */
export function sawOf(report: ProbeReport): { address: string; port: number } {
  const text = report.saw ?? '';
  const colon = text.lastIndexOf(':');
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
