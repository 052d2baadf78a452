// D6: a node without any IPv4, not even 127.0.0.1: agent, CNI, Services and health servers, with flat pods and on an island.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { nodeObject } from '../support/node-manifests.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';

const POD_CIDR = 'fd00:244:1::/64';
const SERVICE = { address: 'fd00:96::10', port: 80, nodePort: 30_080 };
const VIP = '2001:db8:cb::10';
const HEALTHZ = 10_256;
const METRICS = 10_249;
const CHECK_PORT = 31_000;
const HOST_PORT = 8088;
const MODES = ['Flat', 'Island'] as const;

const GET = `
const [host, port, path] = process.argv.slice(1);
require('node:http').get({ host, port, path, timeout: 3000 }, (response) => {
  response.resume();
  console.log(response.statusCode);
}).on('timeout', () => process.exit(1)).on('error', () => process.exit(1));`;

describe.each(MODES)('D6: a node with IPv6 only, pods %s', (mode) => {
  let node: AgentNode;
  let web = '';
  let client = '';

  const who = (from: string, address: string, port: number, protocol = 'tcp') =>
    node.probe(from, protocol, address, String(port), 'who', '--timeout', '2000');
  /** The pod's only address. */
  const add = async (pod: string, runtimeConfig: object = {}): Promise<string> => {
    await node.addNamespace(pod);
    const { status, stdout, json } = await node.cni('ADD', pod, { config: { runtimeConfig } });
    expect({ status, stdout }).toMatchObject({ status: 0 });
    expect(json.ips?.map(({ address }) => address)).toEqual([expect.stringMatching(/^fd00:244:1::[0-9a-f:]+\/128$/)]);
    return json.ips?.[0]?.address.split('/')[0] ?? '';
  };
  const get = async (from: string, host: string, port: number, path: string): Promise<string> =>
    (await node.exec(from, [process.execPath, '-e', GET, host, String(port), path])).stdout.trim();
  const usesIpv4 = async (place: string): Promise<boolean> =>
    `${await node.ip(place, '-4 addr show')}${await node.ip(place, '-4 route show table all')}` !== '';

  beforeAll(async () => {
    node = await AgentNode.open();
    for (const place of ['node', 'outside']) {
      for (const device of ['eth0', 'lo']) await node.ip(place, `-4 addr flush dev ${device}`);
    }
    node.write('network.yaml', {
      apiVersion: 'isthmus.dev/v1alpha1',
      kind: 'ClusterNetwork',
      metadata: { name: 'default' },
      spec: { clusterID: 'six', ipv6: { mode, podCIDRs: ['fd00:244::/32'] }, serviceCIDRs: ['fd00:96::/112'] },
    });
    node.write('node.yaml', nodeObject('n1', [NODE.ipv6], [POD_CIDR]));
    await node.startAgent({ 'metrics-bind-address': `[::1]:${METRICS}` });
    web = await add('web', { portMappings: [{ hostPort: HOST_PORT, containerPort: PORT, protocol: 'tcp' }] });
    client = await add('client');
    await node.startServer('web');
    const ports = { name: 'web', clusterIPs: [SERVICE.address], port: SERVICE.port, targetPort: PORT };
    const more = { externalTrafficPolicy: 'Local', healthCheckNodePort: CHECK_PORT };
    node.write(
      'service.yaml',
      serviceObject({ ...ports, vips: [VIP], nodePort: SERVICE.nodePort, more }),
      ...sliceObjects('web', PORT, [{ address: web }]),
    );
    await node.waitFor(({ state }) => state.services.some(({ name }) => name === 'web'));
    expect(await until(async () => (await who('client', SERVICE.address, SERVICE.port)).ok, 5000), node.tail()).toBe(
      true,
    );
  });

  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
  });

  test('nothing of IPv4 is on the node, and nothing is amiss', async () => {
    expect(await usesIpv4('node')).toBe(false);
    const { state } = await node.waitFor(() => true);
    expect(state).toMatchObject({ problems: [], modes: { ipv6: mode } });
    expect(node.log().filter(({ level }) => Number(level) >= 40)).toEqual([]);
    for (const map of ['routes', 'endpoints', 'services', 'backends']) {
      const entries = node.entries(map).map((entry) => JSON.stringify(entry));
      expect(entries.length, map).toBeGreaterThan(0);
      expect(
        entries.filter((text) => /\d+\.\d+\.\d+\.\d+/.test(text)),
        map,
      ).toEqual([]);
    }
  });

  test('a pod has one address, CHECK and STATUS are content, and it finds its gateway', async () => {
    expect(await node.cni('CHECK', 'client')).toMatchObject({ status: 0, stdout: '' });
    expect(await node.cni('STATUS', 'client')).toMatchObject({ status: 0, stdout: '' });
    expect(await node.ip('client', '-4 addr show dev eth0')).toBe('');
    expect(await node.ip('client', '-6 route show default')).toMatch(/^default via fe80::1 dev eth0/);
  });

  test('pod to pod, node to pod, pod to node', async () => {
    expect(sawOf(await who('client', web, PORT)).address).toBe(client);
    expect(await who('node', web, PORT)).toMatchObject({ ok: true });
    expect((await node.exec('client', ['ping', '-6', '-c', '1', '-W', '2', NODE.ipv6])).status).toBe(0);
  });

  test(`pod to outside, ${mode === 'Flat' ? 'with its own address' : "with its node's"}`, async () => {
    for (const protocol of ['tcp', 'udp']) {
      const report = await who('client', OUTSIDE.ipv6, PORT, protocol);
      expect(report).toMatchObject({ ok: true });
      expect(sawOf(report).address).toBe(mode === 'Flat' ? client : NODE.ipv6);
    }
    expect((await node.exec('client', ['ping', '-6', '-c', '1', '-W', '2', OUTSIDE.ipv6])).status).toBe(0);
  });

  test('a Service is reached by its cluster IP from pod and node, and by node port, host port and VIP from outside', async () => {
    await node.ip('outside', `route replace ${VIP}/128 via ${NODE.ipv6}`);
    for (const [from, address, port] of [
      ['client', SERVICE.address, SERVICE.port],
      ['node', SERVICE.address, SERVICE.port],
      ['client', NODE.ipv6, SERVICE.nodePort],
      ['node', NODE.ipv6, SERVICE.nodePort],
      ['outside', NODE.ipv6, SERVICE.nodePort],
      ['outside', NODE.ipv6, HOST_PORT],
      ['outside', VIP, SERVICE.port],
    ] as const) {
      for (const protocol of port === HOST_PORT ? ['tcp'] : ['tcp', 'udp']) {
        expect(await who(from, address, port, protocol), `${protocol} ${from} to ${address}`).toMatchObject({
          ok: true,
        });
      }
    }
    expect(sawOf(await who('outside', VIP, SERVICE.port)).address).toBe(OUTSIDE.ipv6);
  });

  test('a node port is at no loopback address', async () => {
    for (const address of ['::1', '127.0.0.1']) {
      expect((await who('node', address, SERVICE.nodePort)).ok, address).toBe(false);
    }
  });

  test('the health of node and Service, and metrics, are served by IPv6', async () => {
    for (const path of ['/healthz', '/livez', '/readyz']) {
      expect(await get('outside', NODE.ipv6, HEALTHZ, path), path).toBe('200');
    }
    expect(await get('outside', NODE.ipv6, CHECK_PORT, '/')).toBe('200');
    expect(await get('node', '::1', METRICS, '/metrics')).toBe('200');
  });

  test('connections outlive the agent, and the next one takes over', async () => {
    const held = node.startProbe(
      'client',
      'tcp',
      OUTSIDE.ipv6,
      String(PORT),
      'hold',
      '--rate',
      '50',
      '--seconds',
      '60',
    );
    await node.endAgent('SIGKILL');
    expect(await who('outside', NODE.ipv6, SERVICE.nodePort)).toMatchObject({ ok: true });
    await node.startAgent();
    expect(await node.cni('CHECK', 'client')).toMatchObject({ status: 0 });
    expect(await who('client', SERVICE.address, SERVICE.port)).toMatchObject({ ok: true });
    const report = await held.stop();
    expect(report).toMatchObject({ ok: true, errors: 0 });
    expect(report.received).toBeGreaterThan(50);
  });

  test('DEL leaves nothing', async () => {
    await add('late');
    await node.deletePod('late');
    expect(node.records()).toHaveLength(2);
    expect(await node.podDevices()).toHaveLength(2);
  });
});
