// Two nodes of one cluster with an agent each, a router between them and a client outside, in namespaces of the test's own.
//
//   client 198.51.100.30 --- .1 router .1 --- 192.0.2.0/24 --- .11 n1 --- pod near
//                                                         \--- .12 n2 --- pods far, spare
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detourNamespaces } from '../../src/net/detour.js';
import { openNamespaces, type TestNamespaces } from './netns.js';
import { type Family, REAPER, RunningNode } from './small-node.js';

export const CLIENT = { ipv4: '198.51.100.30', ipv6: '2001:db8:100::30' } as const;
const OUTSIDE = { ipv4: '198.51.100.1', ipv6: '2001:db8:100::1' } as const;
const ROUTER = { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' } as const;
export const NODES = {
  n1: { ipv4: '192.0.2.11', ipv6: '2001:db8:2::11' },
  n2: { ipv4: '192.0.2.12', ipv6: '2001:db8:2::12' },
} as const;
const POD_CIDRS = {
  n1: { ipv4: '10.244.1.0/24', ipv6: 'fd00:10:1:1::/64' },
  n2: { ipv4: '10.244.2.0/24', ipv6: 'fd00:10:1:2::/64' },
} as const;
/** The router sends it to n1. */
export const VIP = { ipv4: '203.0.113.10', ipv6: '2001:db8:f::10' } as const;
export const PODS = { near: 'n1', far: 'n2', spare: 'n2' } as const;

export type NodeName = keyof typeof NODES;
export type PodName = keyof typeof PODS;
type Addresses = Readonly<Record<Family, string>>;

export interface TwoNodes extends AsyncDisposable {
  readonly namespaces: TestNamespaces;
  readonly nodes: Readonly<Record<NodeName, RunningNode>>;
  readonly pods: Record<PodName, Addresses>;
  /** Manifests for both nodes. */
  apply(name: string, documents: readonly object[]): void;
}

/** Both agents run, and every pod has its network. */
export async function openTwoNodes(...flags: string[]): Promise<TwoNodes> {
  const namespaces = openNamespaces('client', 'router', 'n1', 'n2', ...Object.keys(PODS));
  const names = { n1: `t${process.pid}-n1`, n2: `t${process.pid}-n2` };
  const homes = { n1: openHome(names.n1), n2: openHome(names.n2) };
  connect(namespaces);
  const nodes = {
    n1: new RunningNode(namespaces, names.n1, homes.n1.directory, 'n1'),
    n2: new RunningNode(namespaces, names.n2, homes.n2.directory, 'n2'),
  };
  const all = Object.values(nodes);
  const apply = (name: string, documents: readonly object[]): void => {
    for (const node of all) node.apply(name, documents);
  };
  apply('objects', clusterObjects(names));
  for (const node of all) await node.startAgent(...flags);
  const entries = Object.entries(PODS).map(([pod, node]) => [pod, nodes[node].addPod(pod)]);
  return {
    namespaces,
    nodes,
    pods: Object.fromEntries(entries) as Record<PodName, Addresses>,
    apply,
    async [Symbol.asyncDispose]() {
      for (const node of all) await node.killAgent();
      namespaces[Symbol.dispose]();
      for (const home of Object.values(homes)) await home.remove();
    },
  };
}

/** A node's directory, with a bpffs of its own; it goes also when the test is killed. */
function openHome(name: string) {
  const directory = mkdtempSync(join(tmpdir(), 'ist-two-'));
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'sh', directory, ...detourNamespaces(name)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  for (const child of ['bpf', 'manifests']) mkdirSync(join(directory, child));
  execFileSync('mount', ['-t', 'bpf', 'bpf', join(directory, 'bpf')]);
  const remove = async (): Promise<void> => {
    const ended = new Promise((resolve) => reaper.once('exit', resolve));
    reaper.stdin?.end();
    await ended;
  };
  return { directory, remove };
}

function connect({ ip, run }: TestNamespaces): void {
  ip([
    'link add name br0 netns @router type bridge',
    'link add name n1 netns @router type veth peer name eth0 netns @n1',
    'link add name n2 netns @router type veth peer name eth0 netns @n2',
    'link add name out netns @router type veth peer name eth0 netns @client',
  ]);
  const lines = (short: string, text: readonly string[]) =>
    run(short, ['ip', '-batch', '-'], text.map((line) => `${line}\n`).join(''));
  lines('router', [
    'link set n1 master br0',
    'link set n2 master br0',
    ...['br0', 'n1', 'n2', 'out'].map((device) => `link set ${device} up`),
    ...addresses(ROUTER, 'br0'),
    ...addresses(OUTSIDE, 'out'),
  ]);
  for (const sysctl of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
    run('router', ['sh', '-c', `echo 1 > /proc/sys/net/${sysctl}`]);
  }
  for (const node of ['n1', 'n2'] as const) {
    lines(node, ['link set eth0 up', ...addresses(NODES[node], 'eth0'), ...defaults(ROUTER)]);
  }
  // Checksums as from a wire: finished.
  run('client', ['ethtool', '-K', 'eth0', 'tx', 'off']);
  lines('client', ['link set eth0 up', ...addresses(CLIENT, 'eth0'), ...defaults(OUTSIDE)]);
  lines('router', [`route add ${VIP.ipv4}/32 via ${NODES.n1.ipv4}`, `route add ${VIP.ipv6}/128 via ${NODES.n1.ipv6}`]);
}

function addresses({ ipv4, ipv6 }: Addresses, device: string): string[] {
  return [`addr add ${ipv4}/24 dev ${device}`, `addr add ${ipv6}/64 dev ${device} nodad`];
}

function defaults({ ipv4, ipv6 }: Addresses): string[] {
  return [`route add default via ${ipv4}`, `route add default via ${ipv6}`];
}

function clusterObjects(names: Readonly<Record<NodeName, string>>): object[] {
  const network = {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: {
      clusterID: 'two',
      ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'] },
      ipv6: { mode: 'Flat', podCIDRs: ['fd00:10:1::/48'] },
    },
  };
  const nodes = (['n1', 'n2'] as const).map((node) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: names[node] },
    spec: { podCIDR: POD_CIDRS[node].ipv4, podCIDRs: Object.values(POD_CIDRS[node]) },
    status: { addresses: Object.values(NODES[node]).map((address) => ({ type: 'InternalIP', address })) },
  }));
  return [network, ...nodes];
}
