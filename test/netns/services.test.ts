// Services with real stacks and a real agent: policies, affinity and endings, as clients see them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Flow, FlowKey, Service, ServiceKey } from '../../src/datapath/types.gen.js';
import { FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import { type Family, NODE, openSmallNode, type SmallNode } from '../support/small-node.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const SERVER_PORT = 9000;
const PORT = 90;
const NODE_PORT = 30_090;
const RESTRICTED = { ipv4: '203.0.113.77', ipv6: '2001:db8:f::77' };
const PODS = ['a', 'b'] as const;

let node: SmallNode;
const pods: Record<string, Readonly<Record<Family, string>>> = {};

beforeAll(async () => {
  node = await openSmallNode('a', 'b');
  await node.startAgent();
  for (const short of PODS) {
    pods[short] = node.addPod(short);
    await node.start(short, 'serve', '--port', String(SERVER_PORT));
  }
  for (const family of FAMILIES) {
    const suffix = family === 'ipv4' ? '32' : '128';
    for (const address of [RESTRICTED[family], clusterIp(family)]) {
      node.namespaces.run('out', ['ip', 'route', 'add', `${address}/${suffix}`, 'via', NODE[family]]);
    }
  }
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

function clusterIp(family: Family): string {
  return family === 'ipv4' ? '10.96.0.90' : 'fd00:96::90';
}

/** Names of pods, with `@` and another node where they pretend to be elsewhere. */
function program(backends: readonly string[], spec: object = {}): void {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop', namespace: 'default' },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: FAMILIES.map(clusterIp),
      ports: ports.map((port) => ({ ...port, port: PORT, nodePort: NODE_PORT })),
      ...spec,
    },
    status: { loadBalancer: { ingress: FAMILIES.map((family) => ({ ip: RESTRICTED[family] })) } },
  };
  const slices = FAMILIES.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `shop-${family}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'shop' } },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    endpoints: backends.map((text) => {
      const [short = '', elsewhere] = text.split('@');
      return { addresses: [pods[short]?.[family]], nodeName: elsewhere ?? node.name };
    }),
    ports: ports.map((port) => ({ ...port, port: SERVER_PORT })),
  }));
  node.apply('shop', [service, ...slices]);
}

const ask = (protocol: 'tcp' | 'udp', address: string, port: number, ...options: string[]) =>
  node.probe('out', protocol, address, String(port), 'who', '--timeout', '700', ...options);

/** Asks until it comes out as wanted: a change needs a moment from the file to the kernel. */
async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect.fail(`${what} did not happen:\n${node.log()}`);
}

/** Which pods the flows to an address lead to. */
async function targets(address: string): Promise<string[]> {
  const flows = await node.map<FlowKey, Flow>('flows');
  const mine = flows.filter(([key, flow]) => key.destination === address && !(flow.flags & FLOW_FLAGS.FLOW_REPLY));
  return mine.map(
    ([, { destination }]) => PODS.find((short) => Object.values(pods[short] ?? {}).includes(destination)) ?? '?',
  );
}

describe.each(FAMILIES)('%s', (family) => {
  test('K14: without an endpoint a client is refused at once, at every frontend', async () => {
    program([]);
    for (const [address, port] of [
      [clusterIp(family), PORT],
      [NODE[family], NODE_PORT],
      [RESTRICTED[family], PORT],
    ] as const) {
      for (const protocol of ['tcp', 'udp'] as const) {
        const refused = async () => {
          const report = await ask(protocol, address, port);
          return !report.ok && report.error === 'ECONNREFUSED';
        };
        await eventually(refused, `refusal of ${protocol} at ${address}`);
      }
    }
  }, 30_000);

  test('K15 K22: policy Local without an endpoint here is silent outside, and no matter for a pod', async () => {
    program(['b@elsewhere'], { externalTrafficPolicy: 'Local' });
    await eventually(async () => (await ask('tcp', clusterIp(family), PORT)).ok, 'the cluster IP');
    const report = await ask('tcp', NODE[family], NODE_PORT);
    expect([report.ok, String(report.error)]).toEqual([false, 'ETIMEDOUT']);
    expect((await node.probe('a', 'tcp', NODE[family], String(NODE_PORT), 'who')).ok).toBe(true);
  }, 30_000);

  test('K12: source ranges keep others away from the load balancer address only', async () => {
    program(['a'], { loadBalancerSourceRanges: ['192.0.2.0/24', '2001:db8:aaaa::/48'] });
    await eventually(async () => !(await ask('tcp', RESTRICTED[family], PORT)).ok, 'the restriction');
    expect((await ask('tcp', NODE[family], NODE_PORT)).ok).toBe(true);
    program(['a'], { loadBalancerSourceRanges: ['198.51.100.0/24', '2001:db8:100::/64'] });
    await eventually(async () => (await ask('tcp', RESTRICTED[family], PORT)).ok, 'the admission');
  }, 30_000);

  test('K34 K37: a UDP client that never changes its port finds the next backend', async () => {
    const again = () => ask('udp', clusterIp(family), PORT, '--source-port', '12345');
    program(['a']);
    await eventually(async () => (await again()).ok, 'the first backend');
    expect(await targets(clusterIp(family))).toContain('a');
    program(['b']);
    const moved = async () => (await again()).ok && (await targets(clusterIp(family))).includes('b');
    await eventually(moved, 'the second backend');
  }, 30_000);

  test('K26: a client keeps its backend, also over a restart of the agent and a change of the Service', async () => {
    const sticky = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } };
    program(['a', 'b'], sticky);
    const isSticky = async () => {
      const services = await node.map<ServiceKey, Service>('services');
      const mine = services.filter(([key]) => key.address === NODE[family] && key.port === NODE_PORT);
      return (
        mine.length === 2 && mine.every(([, { affinity, sets }]) => affinity === 600 && sets[1]?.backend_count === 2)
      );
    };
    await eventually(isSticky, 'the affinity');
    const connect = async (count: number) => {
      const before = await node.map<FlowKey, Flow>('flows');
      const known = new Set(before.map(([key]) => JSON.stringify(key)));
      for (let turn = 0; turn < count; turn++) expect((await ask('tcp', NODE[family], NODE_PORT)).ok).toBe(true);
      const fresh = (await node.map<FlowKey, Flow>('flows')).filter(([key]) => !known.has(JSON.stringify(key)));
      return new Set(fresh.filter(([key]) => key.destination_port === NODE_PORT).map(([, flow]) => flow.destination));
    };
    const chosen = await connect(8);
    expect(chosen.size).toBe(1);
    await node.killAgent();
    await node.startAgent();
    expect(await connect(8)).toEqual(chosen);
    program(['b', 'a'], { ...sticky, externalTrafficPolicy: 'Local' });
    await eventually(
      async () => JSON.stringify((await node.status()).state.services).includes('"Local"'),
      'the change',
    );
    expect(await connect(8)).toEqual(chosen);
  }, 60_000);
});

test('a connection to a pod that is gone ends with a reset', async () => {
  program(['b']);
  const only = async () => {
    const backends = await node.map<unknown, { address: string }>('backends');
    return backends.every(([, { address }]) => Object.values(pods.b ?? {}).includes(address));
  };
  await eventually(only, 'the change of backends');
  const held = node.probe('out', 'tcp', clusterIp('ipv4'), String(PORT), 'hold', '--seconds', '20', '--rate', '20');
  await eventually(async () => {
    const flows = await node.map<FlowKey, Flow>('flows');
    return flows.some(([key, flow]) => key.destination === clusterIp('ipv4') && flow.packets > 10n);
  }, 'the connection');
  const begun = Date.now();
  node.deletePod('b');
  const report = await held;
  expect([report.ok, String(report.error)]).toEqual([false, 'ECONNRESET']);
  expect(Date.now() - begun).toBeLessThan(10_000);
}, 40_000);
