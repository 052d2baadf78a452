// One real node with an agent, its pods, and a host outside: the smallest island, in namespaces of the test's own.
//
//   out (198.51.100.30) ---- node (198.51.100.1) ---- pods a, b (10.244.1.x)
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { AgentStatus } from '../../src/api/protocol.js';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { detourNamespaces } from '../../src/net/detour.js';
import { openNamespaces, type TestNamespaces } from './netns.js';

const ROOT = import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '');
export const PROBE = `${ROOT}/build/native/isthmus-probe`;
const AGENT = `${ROOT}/build/src/cli/main.js`;
const CNI = `${ROOT}/build/native/isthmus-cni`;

/** When stdin closes, because the test run ended in whatever way: the agent, its namespaces, its mount. */
export const REAPER =
  'trap "" INT TERM HUP; cat >/dev/null; [ -f "$1/pid" ] && kill -9 "$(cat "$1/pid")"; umount "$1/bpf"; ' +
  'rm -rf "$1"; shift; for name in "$@"; do ip netns del "$name"; done';

export const OUT = { ipv4: '198.51.100.30', ipv6: '2001:db8:100::30' } as const;
export const NODE = { ipv4: '198.51.100.1', ipv6: '2001:db8:100::1' } as const;
export const VIP = { ipv4: '203.0.113.10', ipv6: '2001:db8:f::10' } as const;
export const NODE_PORT = 30080;
/** Of the pod behind the service. */
export const BACKEND_PORT = 8080;
export const SERVICE_PORT = 80;
/** Of the service too, but nobody is behind it. */
export const REFUSED_PORT = 81;

export type Family = keyof typeof OUT;
export type Report = Record<string, number | string | boolean> & { readonly ok: boolean };

export interface SmallNode extends AsyncDisposable {
  readonly namespaces: TestNamespaces;
  readonly name: string;
  readonly stateDir: string;
  readonly log: () => string;
  status(): Promise<AgentStatus>;
  startAgent(...flags: string[]): Promise<void>;
  killAgent(): Promise<void>;
  /** Gives a namespace its pod network and returns its addresses. */
  addPod(short: string): Readonly<Record<Family, string>>;
  /** Takes it away again. */
  deletePod(short: string): void;
  /** More manifests, in a file of their own that replaces the one of the same name. */
  apply(name: string, documents: readonly object[]): void;
  /** Puts a pod behind the service. */
  serve(address: Readonly<Record<Family, string>>): Promise<void>;
  /** Starts a server of the probe and waits until it answers. */
  start(short: string, ...argv: string[]): Promise<ChildProcess>;
  /** One line of JSON of the probe. */
  probe(short: string, ...argv: string[]): Promise<Report>;
  /** All entries of a pinned map. */
  map<K, V>(name: string): Promise<(readonly [K, V])[]>;
}

export async function openSmallNode(...pods: string[]): Promise<SmallNode> {
  const namespaces = openNamespaces('out', 'node', ...pods);
  const name = `t${process.pid}`;
  const stateDir = mkdtempSync(join(tmpdir(), 'ist-fr-'));
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'sh', stateDir, ...detourNamespaces(name)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  for (const directory of ['bpf', 'manifests']) mkdirSync(join(stateDir, directory));
  execFileSync('mount', ['-t', 'bpf', 'bpf', join(stateDir, 'bpf')]);
  connect(namespaces);
  writeManifests(stateDir, name);
  const node = new RunningNode(namespaces, name, stateDir);
  return Object.assign(node, {
    async [Symbol.asyncDispose]() {
      await node.killAgent();
      namespaces[Symbol.dispose]();
      const ended = new Promise((resolve) => reaper.once('exit', resolve));
      reaper.stdin?.end();
      await ended;
    },
  });
}

function connect(namespaces: TestNamespaces): void {
  namespaces.ip(['link add name eth0 netns @out type veth peer name eth0 netns @node']);
  for (const short of ['out', 'node']) {
    const { ipv4, ipv6 } = short === 'out' ? OUT : NODE;
    namespaces.run(short, ['ip', 'addr', 'add', `${ipv4}/24`, 'dev', 'eth0']);
    namespaces.run(short, ['ip', 'addr', 'add', `${ipv6}/64`, 'dev', 'eth0', 'nodad']);
    namespaces.run(short, ['ip', 'link', 'set', 'eth0', 'up']);
  }
  namespaces.run('node', ['ip', 'route', 'add', 'default', 'via', OUT.ipv4]);
  namespaces.run('node', ['ip', 'route', 'add', 'default', 'via', OUT.ipv6]);
  namespaces.run('out', ['ip', 'route', 'add', `${VIP.ipv4}/32`, 'via', NODE.ipv4]);
  namespaces.run('out', ['ip', 'route', 'add', `${VIP.ipv6}/128`, 'via', NODE.ipv6]);
}

/** A node's agent and its pods; `place` is the node's namespace. */
export class RunningNode {
  readonly namespaces: TestNamespaces;
  readonly name: string;
  readonly stateDir: string;
  readonly #place: string;
  #agent: ChildProcess | undefined;
  #log = '';

  constructor(namespaces: TestNamespaces, name: string, stateDir: string, place = 'node') {
    this.namespaces = namespaces;
    this.#place = place;
    this.name = name;
    this.stateDir = stateDir;
  }

  readonly log = (): string => this.#log;

  async startAgent(...flags: string[]): Promise<void> {
    const settings = {
      node: this.name,
      source: `${this.stateDir}/manifests`,
      'state-dir': this.stateDir,
      bpffs: `${this.stateDir}/bpf`,
      device: 'eth0',
      compile: 'auto',
    };
    const own = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const argv = [`--net=${this.namespaces.path(this.#place)}`, process.execPath, AGENT, 'agent', ...own, ...flags];
    const agent = spawn('nsenter', argv, { stdio: ['ignore', 'inherit', 'pipe'] });
    agent.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    this.#agent = agent;
    writeFileSync(join(this.stateDir, 'pid'), String(agent.pid));
    for (let tries = 0; tries < 300; tries++) {
      if (agent.exitCode !== null) break;
      if (
        await this.status().then(
          () => true,
          () => false,
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the agent did not get ready:\n${this.#log}`);
  }

  async killAgent(): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const ended = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGKILL');
    await ended;
  }

  status(): Promise<AgentStatus> {
    return new Promise((resolve, reject) => {
      request({ socketPath: join(this.stateDir, 'agent.sock'), path: '/status' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () =>
          response.statusCode === 200 ? resolve(JSON.parse(text) as AgentStatus) : reject(new Error(text)),
        );
      })
        .on('error', reject)
        .end();
    });
  }

  addPod(short: string): Readonly<Record<Family, string>> {
    const { ips } = JSON.parse(this.#cni('ADD', short)) as { ips: { address: string }[] };
    const [ipv4 = '', ipv6 = ''] = ips.map(({ address }) => address.split('/')[0] ?? '');
    return { ipv4, ipv6 };
  }

  deletePod(short: string): void {
    this.#cni('DEL', short);
  }

  apply(name: string, documents: readonly object[]): void {
    writeDocuments(this.stateDir, name, documents);
  }

  #cni(command: 'ADD' | 'DEL', short: string): string {
    const configuration = { cniVersion: '1.0.0', name: 'isthmus', type: 'isthmus-cni' };
    const { status, stdout, stderr } = spawnSync(CNI, {
      input: JSON.stringify(configuration),
      encoding: 'utf8',
      env: {
        ISTHMUS_SOCKET: join(this.stateDir, 'agent.sock'),
        CNI_COMMAND: command,
        CNI_CONTAINERID: `test-${short}`,
        CNI_NETNS: this.namespaces.path(short),
        CNI_IFNAME: 'eth0',
        CNI_ARGS: '',
        CNI_PATH: '/opt/cni/bin',
      },
    });
    if (status !== 0) throw new Error(`CNI ${command} of ${short} failed: ${stdout}${stderr}\n${this.#log}`);
    return stdout;
  }

  async serve(address: Readonly<Record<Family, string>>): Promise<void> {
    const documents = (['ipv4', 'ipv6'] as const).map((family) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `web-${family}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
      endpoints: [{ addresses: [address[family]], conditions: { ready: true } }],
      ports: [{ name: 'udp', protocol: 'UDP', port: BACKEND_PORT }],
    }));
    writeDocuments(this.stateDir, 'slices', documents);
    for (let tries = 0; tries < 50; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if ((await this.map('backends')).length >= 2) return;
    }
    throw new Error(`the backends did not appear:\n${this.#log}`);
  }

  async start(short: string, ...argv: string[]): Promise<ChildProcess> {
    const child = this.namespaces.start(short, [PROBE, ...argv, '--die-with-parent']);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', (status) => reject(new Error(`'${argv.join(' ')}' ended with ${status}`)));
    });
    return child;
  }

  async probe(short: string, ...argv: string[]): Promise<Report> {
    const child = this.namespaces.start(short, [PROBE, ...argv]);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
    await new Promise((resolve) => child.once('close', resolve));
    if (!text.startsWith('{')) throw new Error(`'${argv.join(' ')}' in ${short}: ${text}`);
    return JSON.parse(text) as Report;
  }

  async map<K, V>(name: string): Promise<(readonly [K, V])[]> {
    const map = openPinnedMap<K, V>(loadNative(), join(this.stateDir, 'bpf', name));
    try {
      const entries: (readonly [K, V])[] = [];
      for await (const entry of map.entries()) entries.push(entry);
      return entries;
    } finally {
      map.close();
    }
  }
}

function writeManifests(stateDir: string, name: string): void {
  const podCIDRs = { ipv4: '10.244.1.0/24', ipv6: 'fd00:10:1:1::/64' };
  const network = {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: {
      clusterID: 'small',
      ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'] },
      ipv6: { mode: 'Island', podCIDRs: ['fd00:10:1::/48'] },
    },
  };
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: podCIDRs.ipv4, podCIDRs: [podCIDRs.ipv4, podCIDRs.ipv6] },
    status: { addresses: [NODE.ipv4, NODE.ipv6].map((address) => ({ type: 'InternalIP', address })) },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.10',
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'RequireDualStack',
      ports: [
        { name: 'udp', protocol: 'UDP', port: SERVICE_PORT, targetPort: BACKEND_PORT, nodePort: NODE_PORT },
        { name: 'none', protocol: 'UDP', port: REFUSED_PORT, targetPort: 9, nodePort: NODE_PORT + 1 },
      ],
    },
    status: { loadBalancer: { ingress: [VIP.ipv4, VIP.ipv6].map((ip) => ({ ip })) } },
  };
  writeDocuments(stateDir, 'objects', [network, node, service]);
}

function writeDocuments(stateDir: string, name: string, documents: readonly object[]): void {
  writeFileSync(join(stateDir, 'manifests', `${name}.yaml`), documents.map((one) => stringify(one)).join('---\n'));
}
