// Packets beyond 64 KiB between two nodes: pods that were there before the uplinks took them get them too.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIG, largestSeen, resize, SMALL, sizesOf } from '../support/large-packets.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';
import type { Family } from '../support/small-node.js';
import { openTwoNodes, PODS, type TwoNodes } from '../support/two-nodes.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const SERVER_PORT = 9000;
const SERVICE = { port: 90, ipv4: '10.96.0.90', ipv6: 'fd00:96::90' } as const;
const BYTES = 40_000_000;

let world: TwoNodes;

beforeAll(async () => {
  world = await openTwoNodes();
  const { namespaces, nodes } = world;
  for (const pod of Object.keys(PODS)) await nodes.n1.start(pod, 'serve', '--port', String(SERVER_PORT));
  expect(sizesOf(namespaces, 'near', 'eth0')).toMatchObject({ gso: SMALL, gsoIpv4: SMALL });
  expect((await nodes.n1.status()).state.offloads?.reason).toMatch(/ip link set dev eth0 .* changes it/);
  resize(namespaces, 'router', BIG, 'n1', 'n2');
  for (const place of ['n1', 'n2'] as const) {
    resize(namespaces, place, BIG, 'eth0');
    await nodes[place].killAgent();
    await nodes[place].startAgent();
  }
  await serveAtFar();
}, 120_000);

afterAll(() => world?.[Symbol.asyncDispose](), 30_000);

async function serveAtFar(): Promise<void> {
  const clusterIPs = FAMILIES.map((family) => SERVICE[family]);
  const service = serviceObject({ name: 'shop', clusterIPs, port: SERVICE.port, targetPort: SERVER_PORT });
  const backends = FAMILIES.map((family) => ({ address: world.pods.far[family], nodeName: world.nodes.n2.name }));
  world.apply('shop', [service, ...sliceObjects('shop', SERVER_PORT, backends)]);
  for (let tries = 0; tries < 100; tries++) {
    if ((await world.nodes.n1.map('backends')).length >= 2 * FAMILIES.length) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the backends did not appear:\n${world.nodes.n1.log()}`);
}

/** There and back, compared byte by byte. */
async function transfer(address: string, port: number): Promise<void> {
  const words = ['transfer', '--bytes', String(BYTES), '--cc', 'cubic', '--timeout', '20000'];
  expect(await world.nodes.n1.probe('near', 'tcp', address, String(port), ...words)).toMatchObject({ ok: true });
}

describe.each(FAMILIES)('%s', (family: Family) => {
  describe.each(['near', 'far'] as const)('what %s sends', (sender) => {
    test('from a pod to one of another node', async () => {
      const { namespaces, pods } = world;
      const watched = { place: 'n2', device: 'eth0', from: pods[sender][family] };
      const bytes = await largestSeen(namespaces, watched, () => transfer(pods.far[family], SERVER_PORT));
      expect(bytes).toBeGreaterThan(SMALL);
    }, 60_000);
  });

  test('through a Service whose backend is on another node', async () => {
    const { namespaces, pods } = world;
    const watched = { place: 'far', device: 'eth0', from: pods.far[family] };
    const bytes = await largestSeen(namespaces, watched, () => transfer(SERVICE[family], SERVICE.port));
    expect(bytes).toBeGreaterThan(SMALL);
  }, 60_000);
});
