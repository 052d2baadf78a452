// One node with a real agent and its pods, on the world of node-world.ts.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAgentClient } from '../../src/api/client.js';
import type { AgentStatus } from '../../src/api/protocol.js';
import { type CommandResult, capture, start, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { type CniCallOptions, type CniOutcome, runPlugin } from './cni-plugin.js';
import { type NetworkSpec, network, nodeObject } from './node-manifests.js';
import { NODE, NodeWorld } from './node-world.js';
import { countDrops, type FlowEntry, programIds, readEntries } from './pinned.js';

const READY_MS = 30_000;

/** Everything that the tests of one file share: made once, removed by dispose. */
export class AgentNode extends NodeWorld {
  readonly manifests: string;
  readonly stateDir: string;
  readonly logFile: string;
  /** Words in front of the agent's command, at every start from now on. */
  prefix: readonly string[] = [];
  /** Of ADD, by attachment: runtimes pass it on. */
  readonly #results = new Map<string, unknown>();
  #flags: Readonly<Record<string, string>> = {};
  #pid = 0;
  #logStart = 0;

  private constructor() {
    super();
    this.manifests = join(this.directory, 'manifests');
    this.stateDir = join(this.directory, 'state');
    this.logFile = join(this.directory, 'agent.log');
  }

  /** Builds the node and the world outside; no agent yet. */
  static async open(): Promise<AgentNode> {
    const node = new AgentNode();
    try {
      mkdirSync(node.manifests);
      writeFileSync(node.logFile, '');
      await node.build();
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
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
    this.#pid = start([...this.prefix, process.execPath, programOf(tree), 'agent', ...this.agentFlags(flags)], {
      netns: this.netns('node'),
      cgroup: this.cgroup,
      log: this.logFile,
    });
    return this.#pid;
  }

  /** An agent beside the one that runs, or one that is expected to end by itself. */
  runAgent(flags: Readonly<Record<string, string>> = {}, how: RunAgentOptions = {}): Promise<CommandResult> {
    const { env = process.env, prefix = this.prefix, tree } = how;
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
      // Namespaces of the detour go by the node's name, and more than one of these nodes may be up.
      fragments: 'cache',
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

  /** Runs the plugin as a container runtime does: CHECK and DEL get the result of ADD. */
  async cni(command: string, pod: string, options: CniCallOptions = {}): Promise<CniOutcome> {
    const attachment = `${options.containerID ?? pod} ${options.ifname ?? ''}`;
    const prevResult = this.#results.get(attachment) ?? (command === 'CHECK' ? { ips: [] } : undefined);
    const known = ['CHECK', 'DEL'].includes(command) && prevResult !== undefined ? { prevResult } : {};
    const call = { socket: this.socket, command, pod, netns: this.netnsPath(pod) };
    const outcome = await runPlugin(call, { ...options, config: { ...known, ...options.config } });
    if (command === 'ADD' && outcome.status === 0) this.#results.set(attachment, outcome.json);
    return outcome;
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

  entries<K = unknown, V = unknown>(map: string): (readonly [K, V])[] {
    return readEntries<K, V>(this.bpffs, map);
  }

  flows(): FlowEntry[] {
    return this.entries<FlowEntry['key'], FlowEntry['value']>('flows').map(([key, value]) => ({ key, value }));
  }

  drops(reason: number): number {
    return countDrops(this.bpffs, reason);
  }

  async programs(): Promise<Record<string, number>> {
    await this.settled();
    return programIds(this.bpffs);
  }

  /** Waits until the programs of all pods are behind links. Whether that happened: filters may be wanted. */
  settled(): Promise<boolean> {
    const links = (): string[] => readdirSync(join(this.bpffs, 'links'));
    const pinned = async () => (await this.podDevices()).every((name) => links().includes(`from_container-${name}`));
    return until(pinned, 3000);
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
