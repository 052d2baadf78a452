// Direct server return between two real nodes: what the pod sees, which way its answers take, and how it all ends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Flow, FlowKey } from '../../src/datapath/types.gen.js';
import { FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import type { Family } from '../support/small-node.js';
import { CLIENT, NODES, openTwoNodes, PODS, type PodName, type TwoNodes, VIP } from '../support/two-nodes.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const SERVER_PORT = 9000;
const PORT = 90;
const NODE_PORT = 30_090;
const TRANSFER_BYTES = 100_000_000;
/** Bytes that the outer header takes. */
const OUTER = { ipv4: 20, ipv6: 40 } as const;

let world: TwoNodes;

beforeAll(async () => {
  world = await openTwoNodes();
  for (const pod of Object.keys(PODS)) await world.nodes.n1.start(pod, 'serve', '--port', String(SERVER_PORT));
}, 120_000);

afterAll(() => world?.[Symbol.asyncDispose](), 30_000);

/** Puts pods behind the Service and waits until both nodes have them. */
async function program(...backends: readonly PodName[]): Promise<void> {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'shop',
      namespace: 'default',
      annotations: { 'isthmus.dev/forwarding-mode': 'DirectReturn' },
    },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.90', 'fd00:96::90'],
      ports: ports.map((port) => ({ ...port, port: PORT, nodePort: NODE_PORT })),
    },
    status: { loadBalancer: { ingress: FAMILIES.map((family) => ({ ip: VIP[family] })) } },
  };
  const slices = FAMILIES.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `shop-${family}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'shop' } },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    endpoints: backends.map((pod) => ({
      addresses: [world.pods[pod][family]],
      nodeName: world.nodes[PODS[pod]].name,
    })),
    ports: ports.map((port) => ({ ...port, port: SERVER_PORT })),
  }));
  world.apply('shop', [service, ...slices]);
  const wanted = backends.flatMap((pod) => Object.values(world.pods[pod])).sort();
  for (const node of Object.values(world.nodes)) {
    await eventually(async () => {
      const have = await node.map<object, { address: string }>('backends');
      return String([...new Set(have.map(([, { address }]) => address))].sort()) === String(wanted);
    }, `the backends at ${node.name}`);
  }
}

async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect.fail(`${what} did not come:\n${world.nodes.n1.log()}\n${world.nodes.n2.log()}`);
}

const ask = (...words: string[]) => world.nodes.n1.probe('client', ...words);

/** Packets with this source that a device has seen while something was done. */
async function seen(place: string, source: string, action: () => Promise<void>): Promise<string[]> {
  const argv = ['tcpdump', '-nlqi', 'eth0', '--immediate-mode', 'src', 'host', source];
  const capture = world.namespaces.start(place, argv);
  let said = '';
  capture.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise((resolve) => capture.stderr?.once('data', resolve));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await action();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const ended = new Promise((resolve) => capture.once('close', resolve));
  capture.kill('SIGINT');
  await ended;
  return said.split('\n').filter((line) => line !== '');
}

async function encapsulated(): Promise<(readonly [FlowKey, Flow])[]> {
  const flows = await world.nodes.n1.map<FlowKey, Flow>('flows');
  return flows.filter(([, { flags }]) => flags & FLOW_FLAGS.FLOW_ENCAPSULATE);
}

const bracket = (address: string) => (address.includes(':') ? `[${address}]` : address);

describe.each(FAMILIES)('%s', (family: Family) => {
  test.each(['tcp', 'udp'] as const)(
    'K13 %s: the pod of another node sees the client, and answers it itself',
    async (protocol) => {
      await program('far');
      for (const [address, port] of [
        [VIP[family], PORT],
        [NODES.n1[family], NODE_PORT],
      ] as const) {
        const lines = await seen('n1', address, async () => {
          const report = await ask(protocol, address, String(port), 'who');
          expect(report).toMatchObject({ ok: true, saw: expect.stringContaining(`${bracket(CLIENT[family])}:`) });
        });
        // A node port's address is n1's own, by which it also hands over and speaks to its neighbours.
        if (address === VIP[family]) expect(lines).toEqual([]);
      }
      expect((await encapsulated()).length).toBeGreaterThan(0);
    },
    30_000,
  );

  test('K13 tcp: 100 MB there and back arrive as they were sent', async () => {
    await program('far');
    const words = ['transfer', '--bytes', String(TRANSFER_BYTES), '--timeout', '10000'];
    expect(await ask('tcp', VIP[family], String(PORT), ...words)).toMatchObject({ ok: true });
  }, 90_000);

  test('K13 udp: a datagram in fragments, and one that is too large for the way between the nodes', async () => {
    await program('far');
    world.namespaces.run('client', ['ip', family === 'ipv4' ? '-4' : '-6', 'route', 'flush', 'cache']);
    // The first is lost and its sender told; the next is cut to what fits.
    for (let tries = 0; tries < 3; tries++) {
      const report = await ask(
        'udp',
        VIP[family],
        String(PORT),
        'echo',
        String(family === 'ipv4' ? 1470 : 1450),
        '--timeout',
        '500',
      );
      if (report.ok) break;
    }
    expect(await ask('udp', VIP[family], String(PORT), 'echo', '8000')).toMatchObject({ ok: true, bytes: 8000 });
    const route = world.namespaces.run('client', ['ip', 'route', 'get', VIP[family]]);
    expect(/\bmtu (\d+)/.exec(route)?.[1]).toBe(String(1500 - OUTER[family]));
  }, 30_000);

  test('K13: who traces the way finds both nodes', async () => {
    await program('far');
    const argv = ['traceroute', '-n', '-T', '-p', String(PORT), '-q', '1', '-w', '1', '-m', '6', VIP[family]];
    const said = world.namespaces.run('client', argv);
    const hops = said.split('\n').flatMap((line) => /^ *\d+ {2}(\S+)/.exec(line)?.[1] ?? []);
    expect(hops.slice(1)).toEqual([NODES.n1[family], NODES.n2[family], VIP[family]]);
  }, 30_000);

  test('K39: a connection outlives the agent of either node', async () => {
    await program('far');
    const words = ['hold', '--seconds', '6', '--rate', '20'];
    const held = ask('tcp', VIP[family], String(PORT), ...words);
    await eventually(async () => (await encapsulated()).length > 0, 'the connection');
    for (const node of Object.values(world.nodes)) {
      await node.killAgent();
      await node.startAgent();
    }
    expect(await held).toMatchObject({ ok: true });
  }, 180_000);

  test('K34: a UDP client that never changes its port finds the next backend', async () => {
    const again = () => ask('udp', VIP[family], String(PORT), 'who', '--source-port', '12345', '--timeout', '700');
    const target = async () => {
      const flows = await encapsulated();
      return flows.find(([key]) => key.source_port === 12345 && key.destination === VIP[family])?.[1].destination;
    };
    await program('far');
    expect((await again()).ok).toBe(true);
    expect(await target()).toBe(world.pods.far[family]);
    await program('spare');
    await eventually(
      async () => (await again()).ok && (await target()) === world.pods.spare[family],
      'the other backend',
    );
  }, 60_000);
});

describe('a pod that goes', () => {
  test.each(FAMILIES)(
    'K16 %s: its connections are reset at once, and the next ones find another',
    async (family) => {
      await program('spare');
      const held = ask('tcp', VIP[family], String(PORT), 'hold', '--seconds', '20', '--rate', '10');
      await eventually(
        async () => (await encapsulated()).some(([key]) => key.destination === VIP[family]),
        'the connection',
      );
      world.nodes.n2.deletePod('spare');
      const report = await held;
      expect([report.ok, report.error, Number(report.ms) < 10_000]).toEqual([false, 'ECONNRESET', true]);
      await program('far');
      expect((await ask('tcp', VIP[family], String(PORT), 'who')).ok).toBe(true);
      world.pods.spare = world.nodes.n2.addPod('spare');
    },
    60_000,
  );
});
