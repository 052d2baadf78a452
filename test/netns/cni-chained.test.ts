// Our plugin behind others, which make the interface and give the addresses: bridge and ptp, with host-local.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { runCli } from '../support/cli.js';
import { findPlugins } from '../support/cni-clients.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { deleteEntry } from '../support/pinned.js';
import { PluginChain, type PodAddresses } from '../support/plugin-chain.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';

const PLUGINS = findPlugins('bridge', 'ptp', 'macvlan', 'host-local');
const without = PLUGINS === undefined ? '; skipped: not here: the package containernetworking-plugins' : '';
const WEB = { ipv4: '10.96.0.10', ipv6: 'fd00:96::10' };
const NODE_PORT = 30_080;
const HOST_PORT = 8088;
const FAMILIES = ['ipv4', 'ipv6'] as const;
/** Its backend is a process of the node. */
const HOSTED = { name: 'hosted', clusterIPs: ['10.96.0.20', 'fd00:96::20'], port: 80, targetPort: PORT };
const RANGES = ['10.244.1.0/25', 'fd00:244:1::/112'];

let node: AgentNode;
let bridge: PluginChain;

const chainOf = (type: string, fields: object = {}, ranges = RANGES): PluginChain =>
  new PluginChain(node, `${PLUGINS}`, {
    type,
    ...fields,
    ipam: {
      type: 'host-local',
      dataDir: join(node.directory, `ipam-${type}`),
      ranges: ranges.map((subnet) => [{ subnet }]),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
  });

const ask = (from: string, address: string, port = PORT) =>
  node.probe(from, 'tcp', address, String(port), 'who', '--timeout', '2000');

/** What is ours of a chained pod. */
const programsOf = async (device: string | undefined) =>
  Object.keys(await node.programs()).filter((name) => name.endsWith(`-${device}`));

const endpointsOf = ({ ipv4, ipv6 }: PodAddresses) =>
  node.entries<string>('endpoints').filter(([address]) => address === ipv4 || address === ipv6);

const addressesIn = (text: string): string[] => text.match(/inet6? \S+/g) ?? [];

describe.runIf(PLUGINS !== undefined)(`behind another plugin${without}`, () => {
  let a: PodAddresses;
  let b: PodAddresses;

  beforeAll(async () => {
    node = await AgentNode.open();
    node.writeManifests({ serviceCIDRs: ['10.96.0.0/16', 'fd00:96::/112'] });
    node.write(
      'web.yaml',
      serviceObject({
        ...{ name: 'web', clusterIPs: Object.values(WEB), port: 80, targetPort: PORT },
        nodePort: NODE_PORT,
      }),
    );
    await node.startAgent();
    bridge = chainOf('bridge', { bridge: 'cni0', isGateway: true });
    a = await bridge.add('a');
    b = await bridge.add('b');
    await node.startServer('b');
    node.write('slices.yaml', ...sliceObjects('web', PORT, [{ address: b.ipv4 }, { address: b.ipv6 }]));
    // Addresses of the bridge wait for duplicate address detection.
    await until(async () => (await ask('a', WEB.ipv6, 80)).ok && (await ask('a', OUTSIDE.ipv6)).ok, 8000);
  });

  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
  });

  test('C10: the result of ADD is that of the plugin before', async () => {
    const result = await bridge.addFirst('c');
    const { status, json } = await bridge.addOurs('c', { ...result, vendor: 'kept' });
    expect({ status, json }).toEqual({ status: 0, json: { ...result, vendor: 'kept' } });
    await bridge.delete('c');
  });

  test.each(FAMILIES)('C10 K8: %s: pods and the node reach it as that plugin has it', async (family) => {
    const seen = await ask('a', b[family]);
    expect(sawOf(seen).address).toBe(a[family]);
    expect(await ask('node', b[family])).toMatchObject({ ok: true });
  });

  test.each(FAMILIES)('C10 K31: %s: a cluster IP is translated at the socket', async (family) => {
    const flows = node.flows().length;
    expect(sawOf(await ask('a', WEB[family], 80)).address).toBe(a[family]);
    expect(node.flows()).toHaveLength(flows);
  });

  test.each(FAMILIES)(
    'C10 K9: %s: a node port leads to it, and its answers come back by the node port',
    async (family) => {
      expect(sawOf(await ask('outside', NODE[family], NODE_PORT)).address).toBe(OUTSIDE[family]);
    },
  );

  test.each(FAMILIES)('C10 K1: %s: it leaves the island by ports of its own, and nat who names it', async (family) => {
    const { address, port } = sawOf(await ask('a', OUTSIDE[family]));
    expect(address).toBe(NODE[family]);
    const named = family === 'ipv4' ? `${address}:${port}` : `[${address}]:${port}`;
    const { stdout } = await runCli('nat', 'who', named, '-o', 'json', '--state-dir', node.stateDir);
    expect(stdout).toMatch(/"name": ?"a"/);
  });

  test('C10: endpoint list names it', async () => {
    const { stdout } = await runCli('endpoint', 'list', '-o', 'json', '--state-dir', node.stateDir);
    const { items } = JSON.parse(stdout) as { items: { pod: { name: string } }[] };
    expect(items.find(({ pod }) => pod.name === 'b')).toMatchObject({
      ...{ addresses: [b.ipv4, b.ipv6], chained: true, ready: true },
      hostInterface: await bridge.deviceOf('b'),
    });
  });

  test('C6 C10: CHECK is good after ADD, and hears of a lost address and of a lost entry', async () => {
    const { ipv4, ipv6 } = await bridge.add('checked');
    expect(await bridge.runOurs('CHECK', 'checked')).toMatchObject({ status: 0, stdout: '' });
    await node.ip('checked', `addr del ${ipv4}/25 dev eth0`);
    const lost = await bridge.runOurs('CHECK', 'checked');
    expect(lost.json).toMatchObject({ code: 103, details: expect.stringContaining(`lost its address ${ipv4}`) });
    // Routes are the other plugin's: the default route went with the address.
    await node.ip('checked', `addr add ${ipv4}/25 dev eth0`);
    expect(await bridge.runOurs('CHECK', 'checked')).toMatchObject({ status: 0 });
    deleteEntry(node.bpffs, 'endpoints', ipv6);
    const { json } = await bridge.runOurs('CHECK', 'checked');
    expect(json).toMatchObject({ code: 103, details: expect.stringContaining(`no entry of ${ipv6}`) });
    await bridge.delete('checked');
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'C10: the next agent adopts it after %s, and packets notice nothing',
    async (signal) => {
      const words = ['hold', '--seconds', '60', '--rate', '200'];
      const leaving = node.startProbe('a', 'tcp', OUTSIDE.ipv4, String(PORT), ...words);
      const before = await programsOf(await bridge.deviceOf('a'));
      await until(async () => node.flows().length > 0, 5000);
      await node.endAgent(signal);
      expect(await ask('a', b.ipv4)).toMatchObject({ ok: true });
      await node.startAgent();
      expect(await programsOf(await bridge.deviceOf('a'))).toEqual(before);
      expect(before).toEqual([expect.stringMatching(/^from_chained-/)]);
      const { ok, sent = 0, received = 0 } = await leaving.stop();
      expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
      expect(await bridge.runOurs('CHECK', 'a')).toMatchObject({ status: 0 });
      expect((await node.status())?.endpoints.map(({ pod }) => pod).sort()).toEqual(['a', 'b']);
    },
  );

  test('C10: packets that name a cluster IP are translated as those of every pod', async () => {
    await node.endAgent('SIGTERM');
    await node.startAgent({ sockets: 'never' });
    for (const family of FAMILIES) {
      const { address, port } = sawOf(await ask('a', WEB[family], 80));
      expect(address).toBe(NODE[family]);
      expect(port).toBeGreaterThanOrEqual(36_864);
    }
    // A process of the node sees the pod, whose packets come back by the frontend at its own device.
    await node.startServer('node');
    const ends = [{ address: NODE.ipv4 }, { address: NODE.ipv6 }];
    node.write('hosted.yaml', serviceObject(HOSTED), ...sliceObjects('hosted', PORT, ends));
    await until(async () => (await ask('a', '10.96.0.20', 80)).ok, 5000);
    expect(sawOf(await ask('a', '10.96.0.20', 80)).address).toBe(a.ipv4);
    expect(sawOf(await ask('a', 'fd00:96::20', 80)).address).toBe(a.ipv6);
    expect(await programsOf(await bridge.deviceOf('a'))).toHaveLength(2);
    // A pod reaches itself by the frontend, too.
    expect(sawOf(await ask('b', WEB.ipv4, 80)).address).toBe(NODE.ipv4);
    await node.endAgent('SIGTERM');
    await node.startAgent({});
  });

  test('C5 C10: DEL takes off what is ours, and leaves the device to its plugin; again is fine', async () => {
    const gone = await bridge.add('gone');
    const device = await bridge.deviceOf('gone');
    expect(await programsOf(device)).toEqual([`from_chained-${device}`, `from_host-${device}`]);
    expect(endpointsOf(gone)).toHaveLength(2);
    expect(await bridge.runOurs('DEL', 'gone')).toMatchObject({ status: 0, stdout: '' });
    expect(await programsOf(device)).toEqual([]);
    expect(endpointsOf(gone)).toEqual([]);
    expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
    expect(await bridge.deviceOf('gone')).toBe(device);
    expect(addressesIn(await node.ip('gone', 'addr show eth0'))).toContain(`inet ${gone.ipv4}/25`);
    await bridge.delete('gone');
  });

  test('C4 C10: what a dead agent left of an ADD is taken off by the next one, and DEL is fine', async () => {
    await bridge.add('half');
    const device = await bridge.deviceOf('half');
    await node.endAgent('SIGKILL');
    const path = join(node.stateDir, 'endpoints', 'container-half-eth0.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ifindex: 0 }));
    await node.startAgent();
    expect(await programsOf(device)).toEqual([]);
    expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
    expect(await bridge.deviceOf('half')).toBe(device);
    await bridge.delete('half');
  });

  test('C7 C10: GC takes off what nobody lists', async () => {
    await bridge.add('stale');
    const device = await bridge.deviceOf('stale');
    const listed = ['a', 'b'].map((pod) => ({ containerID: `container-${pod}`, ifname: 'eth0' }));
    const config = { 'cni.dev/valid-attachments': listed };
    expect(await bridge.runOurs('GC', 'stale', { cniVersion: '1.1.0', config })).toMatchObject({ status: 0 });
    expect(await programsOf(device)).toEqual([]);
    expect(await bridge.deviceOf('stale')).toBe(device);
    expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
    await bridge.delete('stale');
  });

  test('C11: host ports and bandwidth are ours; the limits go with DEL', async () => {
    const portMappings = [{ hostPort: HOST_PORT, containerPort: PORT, protocol: 'tcp' }];
    const rates = { ingressRate: 80_000_000, ingressBurst: 800_000, egressRate: 80_000_000, egressBurst: 800_000 };
    const wishes = { config: { runtimeConfig: { portMappings, bandwidth: rates, ips: ['10.1.2.3'], mac: 'none' } } };
    await bridge.add('wishes', wishes);
    await node.startServer('wishes');
    const device = await bridge.deviceOf('wishes');
    const qdiscs = async () => [
      await node.ip('node', `link show ${device}`),
      await node.ip('wishes', 'link show eth0'),
    ];
    for (const family of FAMILIES)
      expect(sawOf(await ask('outside', NODE[family], HOST_PORT)).address).toBe(OUTSIDE[family]);
    for (const text of await qdiscs()) expect(text).toMatch(/qdisc tbf/);
    expect(await bridge.runOurs('CHECK', 'wishes')).toMatchObject({ status: 0 });
    expect(await bridge.runOurs('DEL', 'wishes')).toMatchObject({ status: 0 });
    for (const text of await qdiscs()) expect(text).not.toMatch(/qdisc tbf/);
    await bridge.delete('wishes');
  });

  describe('C4 C9: what is refused leaves nothing, and says why', () => {
    const nothingLeft = async (pod: string) => {
      expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
      const device = await bridge.deviceOf(pod);
      expect(await programsOf(device)).toEqual([]);
    };

    test('a host port that another pod has', async () => {
      const mapping = { hostPort: HOST_PORT, containerPort: PORT, protocol: 'tcp' };
      const config = { runtimeConfig: { portMappings: [mapping, mapping] } };
      const { json } = await bridge.addOurs('d', await bridge.addFirst('d'), { config });
      expect(json).toMatchObject({ code: 104 });
      await nothingLeft('d');
      await bridge.delete('d');
    });

    test('addresses that no other node looks for here', async () => {
      const foreign = chainOf('bridge', { bridge: 'cni1', isGateway: true }, ['10.88.0.0/24']);
      const { json } = await foreign.addOurs('e', await foreign.addFirst('e'));
      expect(json).toMatchObject({ code: 7, msg: expect.stringMatching(/10\.88\.0\.2 lies outside the pod CIDRs/) });
      await nothingLeft('e');
      await foreign.delete('e');
    });

    test('an interface that has no end on the node', async () => {
      const macvlan = chainOf('macvlan', { master: 'eth0' });
      const { json } = await macvlan.addOurs('f', await macvlan.addFirst('f'));
      expect(json).toMatchObject({ code: 7, msg: expect.stringMatching(/is a macvlan without an end/) });
      expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
      await macvlan.delete('f');
    });

    test('an address that a pod of ours has', async () => {
      await node.addNamespace('own');
      const config = { runtimeConfig: { ips: ['10.244.1.66', 'fd00:244:1::66'] } };
      expect(await node.cni('ADD', 'own', { config })).toMatchObject({ status: 0 });
      const one = chainOf('bridge', { bridge: 'cni0' }, ['10.244.1.64/29']);
      const { json } = await one.addOurs('g', await one.addFirst('g'));
      expect(json).toMatchObject({ code: 104, msg: expect.stringMatching(/10\.244\.1\.66 cannot be given/) });
      await one.delete('g');
      await node.deletePod('own');
    });
  });

  test('C10: behind ptp, it reaches pods of ours and they it, on one node', async () => {
    const ptp = chainOf('ptp', {}, ['10.244.1.128/26', 'fd00:244:1::1:0/112']);
    const far = await ptp.add('far');
    await node.addNamespace('own');
    const config = { runtimeConfig: { ips: ['10.244.1.250', 'fd00:244:1::250'] } };
    expect(await node.cni('ADD', 'own', { config })).toMatchObject({ status: 0 });
    for (const pod of ['far', 'own']) await node.startServer(pod);
    // The gateway's address waits for duplicate address detection.
    await until(async () => (await ask('far', 'fd00:244:1::250')).ok, 8000);
    expect(sawOf(await ask('far', '10.244.1.250')).address).toBe(far.ipv4);
    expect(sawOf(await ask('own', far.ipv4)).address).toBe('10.244.1.250');
    expect(sawOf(await ask('far', 'fd00:244:1::250')).address).toBe(far.ipv6);
    expect(sawOf(await ask('own', far.ipv6)).address).toBe('fd00:244:1::250');
    expect(sawOf(await ask('far', OUTSIDE.ipv4)).address).toBe(NODE.ipv4);
    await ptp.delete('far');
    await node.deletePod('own');
  });

  test("C10 K2: in a flat network it leaves, and is reached, by its own address and the host's stack", async () => {
    const serviceCIDRs = ['10.96.0.0/16', 'fd00:96::/112'];
    node.writeNetwork({ ipv4: { mode: 'Flat' }, ipv6: { mode: 'Flat' }, serviceCIDRs });
    await node.waitFor(({ state }) => state.modes.ipv4 === 'Flat' && state.modes.ipv6 === 'Flat');
    for (const family of FAMILIES) {
      expect(sawOf(await ask('a', OUTSIDE[family])).address).toBe(a[family]);
      expect(sawOf(await ask('outside', b[family])).address).toBe(OUTSIDE[family]);
      expect(sawOf(await ask('outside', NODE[family], NODE_PORT)).address).toBe(OUTSIDE[family]);
    }
    node.writeNetwork({ serviceCIDRs });
    await node.waitFor(({ state }) => state.modes.ipv4 === 'Island' && state.modes.ipv6 === 'Island');
  });

  test('C5 C10: with filters in place of links, DEL takes ours off, too', async () => {
    await node.endAgent('SIGTERM');
    await node.startAgent({ attach: 'clsact' });
    await bridge.add('filtered');
    const device = await bridge.deviceOf('filtered');
    const filters = async () =>
      (await node.exec('node', ['tc', 'filter', 'show', 'dev', `${device}`, 'ingress'])).stdout;
    expect(await filters()).toMatch(/from_chained/);
    expect(await bridge.runOurs('DEL', 'filtered')).toMatchObject({ status: 0 });
    expect(await filters()).toBe('');
    await bridge.delete('filtered');
    await node.endAgent('SIGTERM');
    await node.startAgent({});
  });

  test('K46: cleanup takes off what is ours; the pods keep their devices', async () => {
    const device = await bridge.deviceOf('a');
    await node.endAgent('SIGTERM');
    const argv = [process.execPath, ISTHMUS, 'cleanup', '--state-dir', node.stateDir, '--yes'];
    expect(await node.exec('node', argv)).toMatchObject({ status: 0 });
    expect(await bridge.deviceOf('a')).toBe(device);
    expect((await node.exec('node', ['bpftool', '-j', 'net', 'show', 'dev', `${device}`])).stdout).not.toMatch(/from_/);
    expect(sawOf(await ask('a', b.ipv4)).address).toBe(a.ipv4);
  });
});
