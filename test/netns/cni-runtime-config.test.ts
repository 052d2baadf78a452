// What a container runtime wishes for a pod beyond a connection: host ports, addresses, MAC, bandwidth, DNS.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentNode } from '../support/agent-node.js';
import type { CniCallOptions } from '../support/cni-plugin.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { serviceObject } from '../support/service-manifests.js';

const HOST_PORT = 8088;
const MAPPING = { hostPort: HOST_PORT, containerPort: PORT, protocol: 'tcp', hostIP: '' };

let node: AgentNode;

const wish = (runtimeConfig: object): CniCallOptions => ({ config: { runtimeConfig } });
const mapped = (...changes: object[]): CniCallOptions =>
  wish({ portMappings: changes.map((change) => ({ ...MAPPING, ...change })) });

/** Namespace and ADD with these wishes; the result is a good one. */
async function add(pod: string, options: CniCallOptions): Promise<{ ipv4: string; ipv6: string }> {
  await node.addNamespace(pod);
  const { status, stdout, json } = await node.cni('ADD', pod, options);
  expect({ status, stdout }).toMatchObject({ status: 0 });
  const [ipv4 = '', ipv6 = ''] = (json.ips ?? []).map(({ address }) => address.replace(/\/\d+$/, ''));
  return { ipv4, ipv6 };
}

async function refusal(pod: string, options: CniCallOptions) {
  const { status, json } = await node.cni('ADD', pod, options);
  expect(status).toBe(1);
  return json;
}

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  await node.startAgent();
  await node.addNamespace('none');
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

describe('C11: host ports', () => {
  test('lead from outside, from the node and from other pods to the pod, in both families, until DEL', async () => {
    await add('web', mapped({}));
    await node.startServer('web');
    await node.addPod('client');
    for (const family of ['ipv4', 'ipv6'] as const) {
      const ask = (from: string, address = NODE[family]) =>
        node.probe(from, 'tcp', address, String(HOST_PORT), 'who', '--timeout', '2000');
      const outside = await ask('outside');
      expect(outside).toMatchObject({ ok: true });
      expect(sawOf(outside).address).toBe(OUTSIDE[family]);
      expect(await ask('client')).toMatchObject({ ok: true });
      expect(await ask('node')).toMatchObject({ ok: true });
    }
    expect(await node.cni('CHECK', 'web', mapped({}))).toMatchObject({ status: 0 });
    await node.deletePod('web');
    const after = await node.probe('outside', 'tcp', NODE.ipv4, String(HOST_PORT), 'who', '--timeout', '500');
    expect(after.ok).toBe(false);
    expect(node.entries('services')).toEqual([]);
    await node.deletePod('client');
  });

  test('are at 127.0.0.1 for processes of the node, and not for those of pods', async () => {
    await add('web', mapped({}));
    await node.startServer('web');
    await node.addPod('client');
    await node.ip('client', 'link set lo up');
    const ask = (from: string) => node.probe(from, 'tcp', '127.0.0.1', String(HOST_PORT), 'who', '--timeout', '1000');
    const { state } = await node.waitFor(() => true);
    expect(state.sockets).toMatchObject({ mode: 'sockets' });
    expect(await ask('node')).toMatchObject({ ok: true });
    expect((await ask('client')).ok).toBe(false);
    await node.deletePod('web');
    await node.deletePod('client');
  });

  test('are given to one pod alone, for each address and protocol', async () => {
    await add('a', mapped({ hostIP: '127.0.0.1' }));
    await add('b', mapped({ hostIP: NODE.ipv4 }, { protocol: 'UDP' }));
    await node.addNamespace('c');
    expect(await refusal('c', mapped({}))).toMatchObject({
      code: 104,
      msg: expect.stringMatching(/^the host port \*:8088\/TCP belongs to pod test\/[ab]$/),
    });
    expect(await refusal('c', mapped({ hostIP: NODE.ipv4, protocol: 'udp' }))).toMatchObject({ code: 104 });
    expect(await refusal('c', mapped({ hostPort: 9 }, { hostPort: 9, containerPort: 7 }))).toMatchObject({ code: 104 });
    expect(await refusal('c', mapped({ hostIP: '203.0.113.1' }))).toMatchObject({
      code: 7,
      msg: 'hostIP 203.0.113.1 is no address of node n1',
    });
    expect(node.records()).toEqual(['container-a-eth0.json', 'container-b-eth0.json']);
    await node.deletePod('a');
    await node.deletePod('b');
    expect(await node.cni('ADD', 'c', mapped({}))).toMatchObject({ status: 0 });
    await node.deletePod('c');
  });

  test('survive the agent: the pod is reached while none runs, and with the next one', async () => {
    await add('web', mapped({}));
    await node.startServer('web');
    const ask = () => node.probe('outside', 'tcp', NODE.ipv4, String(HOST_PORT), 'who', '--timeout', '2000');
    await node.endAgent('SIGKILL');
    expect(await ask()).toMatchObject({ ok: true });
    await node.startAgent();
    expect(await ask()).toMatchObject({ ok: true });
    await node.deletePod('web');
  });

  test('that a Service has are refused; a Service that comes later has the port', async () => {
    const clusterIPs = ['10.96.0.10', 'fd00:96::10'];
    const ports = { name: 'web', clusterIPs, port: 80, targetPort: 80 };
    node.write('service.yaml', serviceObject({ ...ports, nodePort: 30_080 }));
    await node.waitFor(({ state }) => state.services.some(({ name }) => name === 'web'));
    expect(await refusal('none', mapped({ hostPort: 30_080 }))).toMatchObject({
      code: 104,
      msg: 'the host port *:30080/TCP belongs to Service test/web',
    });
    await add('late', mapped({ hostPort: 30_081 }));
    node.write('service.yaml', serviceObject({ ...ports, nodePort: 30_081 }));
    const { state } = await node.waitFor(({ state: { problems } }) => problems.length > 0);
    expect(state.problems).toMatchObject([
      { object: 'Pod test/late', reason: 'its host port *:30081/TCP belongs to Service test/web by now' },
    ]);
    await node.deletePod('late');
  });
});

describe('C11: addresses and MAC', () => {
  test('are given as they are asked for; of a family without a wish, any will do', async () => {
    const options = wish({ ips: ['10.244.1.77/24'], mac: '02:00:00:00:77:77' });
    const pod = await add('own', options);
    expect(pod.ipv4).toBe('10.244.1.77');
    expect(pod.ipv6).toMatch(/^fd00:244:1::/);
    expect(await node.ip('own', 'link show eth0')).toContain('02:00:00:00:77:77');
    expect(await node.probe('own', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
    expect(await refusal('none', options)).toMatchObject({ code: 104, msg: expect.stringContaining('10.244.1.77') });
    await node.deletePod('own');
  });

  test.each([
    ['outside the pod CIDRs', '10.244.9.1', /outside the pod CIDRs 10\.244\.1\.0\/24 of node n1/],
    ['the first of the CIDR', '10.244.1.0', /first or the last/],
    ['the last of the CIDR', '10.244.1.255', /first or the last/],
  ])('%s are refused', async (_name, address, reason) => {
    const json = await refusal('none', wish({ ips: [address] }));
    expect(json).toMatchObject({ code: 7, msg: expect.stringMatching(reason) });
    expect(node.records()).toEqual([]);
  });

  test('C12: are taken from CNI_ARGS too', async () => {
    const pod = await add('args', { args: 'IP=10.244.1.78;MAC=02:00:00:00:78:78' });
    expect(pod.ipv4).toBe('10.244.1.78');
    expect(await node.ip('args', 'link show eth0')).toContain('02:00:00:00:78:78');
    await node.deletePod('args');
  });
});

test('C11: dns of the configuration and of the runtime is passed on', async () => {
  await node.addNamespace('dns');
  const config = { dns: { domain: 'x' }, runtimeConfig: { dns: { servers: ['10.96.0.10'], searches: ['svc'] } } };
  const { json } = await node.cni('ADD', 'dns', { config });
  expect(json.dns).toEqual({ domain: 'x', nameservers: ['10.96.0.10'], search: ['svc'] });
  await node.deletePod('dns');
});

describe('C11: bandwidth', () => {
  /** Bits a second. */
  const RATE = 16_000_000;
  const BURST = 400_000;
  const limits = wish({ bandwidth: { ingressRate: RATE, ingressBurst: BURST, egressRate: RATE, egressBurst: BURST } });

  async function qdisc(name: string, device: string): Promise<{ kind: string; bytes: number; overlimits: number }> {
    const { stdout } = await node.exec(name, ['tc', '-s', '-j', 'qdisc', 'show', 'dev', device, 'root']);
    return (JSON.parse(stdout) as { kind: string; bytes: number; overlimits: number }[])[0] ?? fail();
  }

  function fail(): never {
    throw new Error('there is no qdisc');
  }

  test('is a token bucket on each end of the veth, which CHECK looks for', async () => {
    await add('slow', limits);
    const [host = ''] = await node.podDevices();
    expect(await qdisc('node', host)).toMatchObject({ kind: 'tbf', options: { rate: RATE / 8, burst: BURST / 8 } });
    expect(await qdisc('slow', 'eth0')).toMatchObject({ kind: 'tbf', options: { rate: RATE / 8, burst: BURST / 8 } });
    expect(await node.cni('CHECK', 'slow')).toMatchObject({ status: 0 });
    await node.exec('slow', ['tc', 'qdisc', 'del', 'dev', 'eth0', 'root']);
    expect((await node.cni('CHECK', 'slow')).json).toMatchObject({
      code: 103,
      details: 'eth0 in the pod has lost the limit of what the pod sends',
    });
    await node.deletePod('slow');
  });

  test('holds for what comes from outside, by established flows and from pods of the node', async () => {
    const pod = await add('slow', limits);
    await node.startServer('slow');
    await node.addPod('fast');
    const { endpoints } = await node.waitFor(() => true);
    const host = endpoints.find(({ containerID }) => containerID === 'container-slow')?.hostInterface ?? '';
    for (const address of [pod.ipv4, pod.ipv6]) {
      const before = await qdisc('node', host);
      expect(await node.probe('fast', 'tcp', address, String(PORT), 'who')).toMatchObject({ ok: true });
      expect((await qdisc('node', host)).bytes).toBeGreaterThan(before.bytes);
    }
    const before = await qdisc('node', host);
    expect(await node.probe('slow', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
    expect((await qdisc('node', host)).bytes).toBeGreaterThan(before.bytes);
    await node.deletePod('slow');
    await node.deletePod('fast');
  });
});
