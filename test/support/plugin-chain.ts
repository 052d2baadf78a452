// Another CNI plugin before ours, as a runtime runs such a list: ADD in its order, DEL the other way round.
import { join } from 'node:path';
import { type CommandResult, capture } from '../../src/testbed/command.js';
import type { AgentNode } from './agent-node.js';
import type { CniCallOptions, CniOutcome } from './cni-plugin.js';

export interface FirstPlugin {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface PodAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

const CNI_VERSION = '1.0.0';
const NETWORK = 'chained';

export class PluginChain {
  readonly #node: AgentNode;
  readonly #directory: string;
  readonly #first: FirstPlugin;

  /** `directory`: where the other plugin and its IPAM plugin are. */
  constructor(node: AgentNode, directory: string, first: FirstPlugin) {
    this.#node = node;
    this.#directory = directory;
    this.#first = first;
  }

  /** The other plugin alone, where it finds the node's devices. */
  runFirst(command: 'ADD' | 'DEL', pod: string, more: object = {}): Promise<CommandResult> {
    const env = {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: `container-${pod}`,
      CNI_NETNS: this.#node.netnsPath(pod),
      CNI_IFNAME: 'eth0',
      CNI_PATH: this.#directory,
    };
    const input = JSON.stringify({ cniVersion: CNI_VERSION, name: NETWORK, ...this.#first, ...more });
    return capture([join(this.#directory, this.#first.type)], { env, input, netns: this.#node.netns('node') });
  }

  /** Ours alone. */
  runOurs(command: string, pod: string, { config = {}, ...options }: CniCallOptions = {}): Promise<CniOutcome> {
    return this.#node.cni(command, pod, { cniVersion: CNI_VERSION, ...options, config: { name: NETWORK, ...config } });
  }

  /** Namespace, and the ADD of the other plugin. Returns its result. */
  async addFirst(pod: string): Promise<object> {
    await this.#node.addNamespace(pod);
    await this.#node.ip(pod, 'link set lo up'); // runtimes do, by a plugin for that
    const { status, stdout } = await this.runFirst('ADD', pod);
    if (status !== 0) throw new Error(`ADD of ${pod} by ${this.#first.type}: ${stdout}`);
    return JSON.parse(stdout) as object;
  }

  /** The ADD of ours, behind that result. */
  addOurs(pod: string, prevResult: object, options: CniCallOptions = {}): Promise<CniOutcome> {
    return this.runOurs('ADD', pod, { ...options, config: { ...options.config, prevResult } });
  }

  /** Both. */
  async add(pod: string, options: CniCallOptions = {}): Promise<PodAddresses> {
    const { status, stdout, json } = await this.addOurs(pod, await this.addFirst(pod), options);
    if (status !== 0) throw new Error(`ADD of ${pod} by isthmus-cni: ${stdout}`);
    const [ipv4 = '', ipv6 = ''] = (json.ips ?? []).map(({ address }) => address.replace(/\/\d+$/, ''));
    return { ipv4, ipv6 };
  }

  /** Both, and the namespace. */
  async delete(pod: string): Promise<void> {
    const ours = await this.runOurs('DEL', pod);
    const theirs = await this.runFirst('DEL', pod);
    await this.#node.deleteNamespace(pod).catch(() => undefined);
    if (ours.status + theirs.status !== 0) throw new Error(`DEL of ${pod}: ${ours.stdout} ${theirs.stdout}`);
  }

  /** The node's end of the pod's veth. */
  async deviceOf(pod: string): Promise<string | undefined> {
    const [own] = JSON.parse(await this.#node.ip(pod, '-j link show eth0')) as { link_index: number }[];
    const links = JSON.parse(await this.#node.ip('node', '-j link show')) as { ifindex: number; ifname: string }[];
    return links.find(({ ifindex }) => ifindex === own?.link_index)?.ifname;
  }
}
