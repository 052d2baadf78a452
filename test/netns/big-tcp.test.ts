// Packets beyond 64 KiB through a real node: what pods' devices take, what becomes of the packets on every way, and that
// the data is whole. And pods without TSO, whose segments the node joins.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIG, inside, largestSeen, resize, SMALL, sizesOf } from '../support/large-packets.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';
import { type Family, NODE, OUT, openSmallNode, type SmallNode } from '../support/small-node.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const SERVER_PORT = 9000;
const SERVICE = { port: 90, ipv4: '10.96.0.90', ipv6: 'fd00:96::90' } as const;
const BYTES = 40_000_000;

let node: SmallNode;
const pods: Record<string, Readonly<Record<Family, string>>> = {};

beforeAll(async () => {
  node = await openSmallNode('a', 'b');
  for (const place of ['out', 'node']) resize(node.namespaces, place, BIG, 'eth0');
  await node.startAgent();
  for (const short of ['a', 'b']) pods[short] = node.addPod(short);
  for (const short of ['a', 'b', 'out']) await node.start(short, 'serve', '--port', String(SERVER_PORT));
  for (const one of [`${SERVICE.ipv4}/32`, `${SERVICE.ipv6}/128`]) {
    const via = one.includes(':') ? NODE.ipv6 : NODE.ipv4;
    node.namespaces.run('out', ['ip', 'route', 'add', one, 'via', via]);
  }
  await serveAt('b');
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

async function hostSideOf(short: string): Promise<string> {
  const { endpoints } = await node.status();
  return endpoints.find(({ netns }) => netns === node.namespaces.path(short))?.hostInterface ?? '';
}

/** A Service of both families with one backend. */
async function serveAt(short: string): Promise<void> {
  const clusterIPs = FAMILIES.map((family) => SERVICE[family]);
  const service = serviceObject({ name: 'shop', clusterIPs, port: SERVICE.port, targetPort: SERVER_PORT });
  const backends = FAMILIES.map((family) => ({ address: pods[short]?.[family] ?? '', nodeName: node.name }));
  node.apply('shop', [service, ...sliceObjects('shop', SERVER_PORT, backends)]);
  for (let tries = 0; tries < 100; tries++) {
    if ((await node.map('backends')).length >= 2 * FAMILIES.length) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the backends did not appear:\n${node.log()}`);
}

/** There and back, compared byte by byte. */
async function transfer(short: string, address: string, port = SERVER_PORT): Promise<void> {
  const words = ['transfer', '--bytes', String(BYTES), '--cc', 'cubic', '--timeout', '20000'];
  expect(await node.probe(short, 'tcp', address, String(port), ...words)).toMatchObject({ ok: true });
}

test('pods take what the uplink takes, on both ends, and the status says so', async () => {
  const sizes = { gso: BIG, gro: BIG, gsoIpv4: BIG, groIpv4: BIG };
  for (const short of ['a', 'b']) {
    const device = await hostSideOf(short);
    expect(sizesOf(node.namespaces, 'node', device)).toMatchObject(sizes);
    expect(sizesOf(node.namespaces, short, 'eth0')).toMatchObject(sizes);
    expect(
      inside(node.namespaces, 'node', (netlink) => netlink.receiveOffload(netlink.link(device)?.ifindex ?? 0)),
    ).toBe(true);
  }
  expect((await node.status()).state.offloads).toEqual({ packetBytes: { ipv4: BIG, ipv6: BIG }, gro: true });
});

describe.each(FAMILIES)('%s', (family: Family) => {
  const address = (short: string): string => pods[short]?.[family] ?? '';

  test('from pod to pod packets beyond 64 KiB pass, and the data is whole', async () => {
    const watched = { place: 'node', device: await hostSideOf('a'), from: address('a') };
    const bytes = await largestSeen(node.namespaces, watched, () => transfer('a', address('b')));
    expect(bytes).toBeGreaterThan(SMALL);
    expect(bytes).toBeLessThanOrEqual(BIG);
  }, 60_000);

  // A backend of the same node knows a client of it by the node's address where pods are an island.
  test.each([
    ['a', NODE[family]],
    ['out', OUT[family]],
  ])(
    'through a Service they are translated there and back, for %s',
    async (client, from) => {
      const watched = { place: 'b', device: 'eth0', from };
      const bytes = await largestSeen(node.namespaces, watched, () => transfer(client, SERVICE[family], SERVICE.port));
      expect(bytes).toBeGreaterThan(SMALL);
    },
    60_000,
  );

  test.each([
    ['from an island to the outside they leave translated, as large as they were', NODE[family]],
    ['and what is answered comes back as large', OUT[family]],
  ])(
    '%s',
    async (_, from) => {
      const watched = { place: 'out', device: 'eth0', from };
      expect(await largestSeen(node.namespaces, watched, () => transfer('a', OUT[family]))).toBeGreaterThan(SMALL);
    },
    60_000,
  );

  test('an uplink that takes no more than 64 KiB has the kernel cut them: nothing is lost', async () => {
    resize(node.namespaces, 'node', SMALL, 'eth0');
    try {
      const watched = { place: 'out', device: 'eth0', from: NODE[family] };
      const bytes = await largestSeen(node.namespaces, watched, () => transfer('a', OUT[family]));
      expect(bytes).toBeGreaterThan(1000);
      expect(bytes).toBeLessThanOrEqual(SMALL);
    } finally {
      resize(node.namespaces, 'node', BIG, 'eth0');
    }
  }, 60_000);
});

describe('a pod without TSO', () => {
  beforeAll(() => node.namespaces.run('a', ['ethtool', '-K', 'eth0', 'tso', 'off']));
  afterAll(() => node.namespaces.run('a', ['ethtool', '-K', 'eth0', 'tso', 'on']));

  test.each(FAMILIES)(
    '%s: what it sends in segments is joined before the programs see it',
    async (family) => {
      const watched = { place: 'b', device: 'eth0', from: pods.a?.[family] ?? '' };
      const bytes = await largestSeen(node.namespaces, watched, () => transfer('a', pods.b?.[family] ?? ''));
      expect(bytes).toBeGreaterThan(1500);
    },
    60_000,
  );
});

describe('switched off', () => {
  const sent = (place: string, device: string) =>
    largestSeen(node.namespaces, { place, device, from: pods.a?.ipv4 ?? '' }, () => transfer('a', pods.b?.ipv4 ?? ''));

  beforeAll(async () => {
    await node.killAgent();
    await node.startAgent('--big-tcp', 'never', '--gro', 'never');
  }, 60_000);

  test('pods that are there go back to 64 KiB, and nothing larger is seen', async () => {
    const sizes = { gso: SMALL, gro: SMALL, gsoIpv4: SMALL, groIpv4: SMALL };
    const device = await hostSideOf('a');
    expect(sizesOf(node.namespaces, 'node', device)).toMatchObject(sizes);
    expect(sizesOf(node.namespaces, 'a', 'eth0')).toMatchObject(sizes);
    const bytes = await sent('node', device);
    expect(bytes).toBeGreaterThan(1500);
    expect(bytes).toBeLessThanOrEqual(SMALL);
    expect((await node.status()).state.offloads).toEqual({ packetBytes: { ipv4: SMALL, ipv6: SMALL }, gro: false });
  }, 60_000);

  test('segments of a pod without TSO stay segments', async () => {
    node.namespaces.run('a', ['ethtool', '-K', 'eth0', 'tso', 'off']);
    const bytes = await sent('b', 'eth0');
    node.namespaces.run('a', ['ethtool', '-K', 'eth0', 'tso', 'on']);
    expect(bytes).toBeGreaterThan(1000);
    expect(bytes).toBeLessThanOrEqual(1500);
  }, 60_000);
});
