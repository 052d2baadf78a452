// The real kube-proxy, by the rules that it writes: the benchmark's generator must write the same ones.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { iptablesRules } from '../../src/bench/service/kube-proxy/iptables.js';
import { nftablesRules } from '../../src/bench/service/kube-proxy/nftables.js';
import { serviceManifests } from '../../src/bench/service/manifests.js';
import type { ServedService } from '../../src/bench/service/services.js';
import type { ApiClient } from '../../src/kubernetes/api-client.js';
import { capture, run, until } from '../../src/testbed/command.js';
import { ApiServer, findAssets } from '../support/api-server.js';
import { describeIsolated } from '../support/isolated.js';

const assets = findAssets() ?? '';
const isHere = existsSync(join(assets, 'kube-proxy'));
const NODE = { name: 'node-1', address: '192.0.2.11' };
const CLUSTER_CIDR = '10.244.0.0/16';
const SYNC_MS = 30_000;

const backend = (host: number) => ({ address: `10.244.1.${host}`, port: 8080 });
const SERVICES: readonly ServedService[] = [
  { name: 'one', clusterIP: '10.96.1.1', backends: [backend(11)] },
  { name: 'three', clusterIP: '10.96.1.2', nodePort: 30_080, backends: [backend(12), backend(13), backend(14)] },
  {
    name: 'dns',
    clusterIP: '10.96.1.3',
    protocol: 'UDP' as const,
    nodePort: 30_053,
    backends: [backend(15), backend(16)],
  },
].map((facts) => ({ namespace: 'bench', protocol: 'TCP', port: 80, ...facts }));

describe.skipIf(!isHere)(
  'kube-proxy (skipped without etcd, kube-apiserver and kube-proxy in KUBEBUILDER_ASSETS or PATH)',
  () => {
    describeIsolated('its rules are the generator’s', import.meta.filename, () => {
      let server: ApiServer;
      let client: ApiClient;
      let tools: string;
      let proxy: ChildProcess | undefined;
      let said = '';

      beforeAll(async () => {
        await run(['ip', 'link', 'set', 'lo', 'up']);
        await run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'fabric']);
        await run(['ip', 'address', 'add', `${NODE.address}/24`, 'dev', 'uplink']);
        for (const device of ['uplink', 'fabric']) await run(['ip', 'link', 'set', device, 'up']);
        await run(['ip', 'route', 'add', 'default', 'via', '192.0.2.1']);
        tools = legacyTools();
        server = await ApiServer.start(assets);
        client = await server.client();
        await createObjects(client);
      });
      afterEach(async () => {
        await end(proxy);
        proxy = undefined;
      });
      afterAll(async () => {
        await server?.[Symbol.asyncDispose]();
        rmSync(tools, { recursive: true, force: true });
      });

      function startProxy(mode: 'iptables' | 'nftables'): void {
        const args = [
          `--kubeconfig=${server.kubeconfig}`,
          `--proxy-mode=${mode}`,
          `--hostname-override=${NODE.name}`,
          `--cluster-cidr=${CLUSTER_CIDR}`,
          // They would take a second rule for each node port, and one for every packet to 127.0.0.0/8.
          '--iptables-localhost-nodeports=false',
          '--conntrack-max-per-core=0',
          '--conntrack-tcp-timeout-established=0s',
          '--conntrack-tcp-timeout-close-wait=0s',
        ];
        said = '';
        const PATH = `${tools}:${process.env.PATH ?? ''}`;
        proxy = spawn(join(assets, 'kube-proxy'), args, {
          env: { ...process.env, PATH },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        proxy.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
      }

      /** What is in force once it has all Services. */
      async function rulesOnce(save: readonly string[]): Promise<string> {
        const read = async () => (await capture(save)).stdout;
        const complete = async () => {
          const text = await read();
          return SERVICES.every(
            ({ clusterIP, backends }) =>
              text.includes(clusterIP) && backends.every(({ address }) => text.includes(address)),
          );
        };
        if (!(await until(complete, SYNC_MS))) throw new Error(`kube-proxy wrote no rules: ${said.slice(-2000)}`);
        return read();
      }

      test('iptables', async () => {
        startProxy('iptables');
        const real = await rulesOnce(['iptables-legacy-save']);
        const input = iptablesRules({ services: SERVICES, clusterCIDR: CLUSTER_CIDR });
        const made = await inNewNamespace('iptables-legacy-restore && iptables-legacy-save', input);
        expect(Object.keys(chainsOf(made)).length).toBeGreaterThan(10);
        expect(chainsOf(made)).toEqual(chainsOf(real));
      });

      test('nftables', async () => {
        startProxy('nftables');
        await rulesOnce(['nft', 'list', 'table', 'ip', 'kube-proxy']);
        const real = await run(['nft', '-j', 'list', 'table', 'ip', 'kube-proxy']);
        const input = nftablesRules({ services: SERVICES, clusterCIDR: CLUSTER_CIDR, nodeAddress: NODE.address });
        const made = await inNewNamespace('nft -f - && nft -j list table ip kube-proxy', input);
        expect(Object.keys(tableOf(made)).length).toBeGreaterThan(20);
        expect(tableOf(made)).toEqual(tableOf(real));
      });
    });
  },
);

/** kube-proxy calls tools by their plain names, which may be either kind's. */
function legacyTools(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ist-tools-'));
  for (const family of ['iptables', 'ip6tables']) {
    for (const verb of ['', '-save', '-restore'])
      symlinkSync(`/usr/sbin/${family}-legacy${verb}`, join(directory, `${family}${verb}`));
  }
  return directory;
}

async function createObjects(client: ApiClient): Promise<void> {
  const create = (path: string, body: object) => client.json({ method: 'POST', path, body });
  await create('/api/v1/namespaces', { metadata: { name: 'bench' } });
  await create('/api/v1/nodes', { metadata: { name: NODE.name } });
  const addresses = [{ type: 'InternalIP', address: NODE.address }];
  await client.json({
    method: 'PATCH',
    path: `/api/v1/nodes/${NODE.name}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { addresses } },
  });
  const paths = { Service: '/api/v1', EndpointSlice: '/apis/discovery.k8s.io/v1' };
  for (const manifest of SERVICES.flatMap(serviceManifests)) {
    const kind = manifest.kind as keyof typeof paths;
    await create(`${paths[kind]}/namespaces/bench/${kind.toLowerCase()}s`, manifest);
  }
}

async function inNewNamespace(script: string, input: string): Promise<string> {
  return run(['unshare', '--net', 'sh', '-c', script], { input });
}

/** Whatever the order is, no packet has two of these in common. */
const LISTS = ['KUBE-SERVICES', 'KUBE-NODEPORTS'];

/** kube-proxy's chains by name, but for what it has for the API server's own Service and what it only counts with. */
function chainsOf(text: string): Record<string, string[]> {
  const chains: Record<string, string[]> = {};
  for (const line of text.split('\n')) {
    if (!line.startsWith('-A KUBE-') || isApiServers(line)) continue;
    const chain = line.split(' ')[1] ?? '';
    chains[chain] = [
      ...(chains[chain] ?? []),
      line.replace(/-m nfacct --nfacct-name +\S+ |! -d 127\.0\.0\.0\/8 /g, ''),
    ];
  }
  for (const list of LISTS) chains[list]?.sort();
  return chains;
}

function isApiServers(text: string): boolean {
  return text.includes('default/kubernetes') || text.includes('10.96.0.1"');
}

interface NftObject {
  readonly name?: string;
  readonly chain?: string;
  readonly expr?: unknown;
  readonly elem?: readonly unknown[];
}

/** Chains with their rules, sets and maps with their elements, by name; without comments, handles and an order. */
function tableOf(json: string): Record<string, string[]> {
  const { nftables } = JSON.parse(json) as { nftables: readonly Record<string, NftObject>[] };
  const table: Record<string, string[]> = {};
  for (const [kind, object] of nftables.flatMap((one) => Object.entries(one))) {
    const name = object.chain ?? object.name ?? '';
    if (kind === 'metainfo' || isApiServers(name)) continue;
    const contents = kind === 'rule' ? [object.expr] : (object.elem ?? []);
    const lines = contents.map((one) => JSON.stringify(one)).filter((line) => !isApiServers(line));
    table[name] = [...(table[name] ?? []), ...lines.map(withoutServiceRange)];
    if (kind !== 'rule') table[name]?.sort();
  }
  return table;
}

/** It is another one in the benchmark than here. */
function withoutServiceRange(line: string): string {
  return line.replace(/\{"addr":"10\.96\.0\.0","len":\d+\}/, 'service range');
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}
