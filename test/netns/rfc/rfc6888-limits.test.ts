// RFC 6888: limits of a subscriber, several outside addresses, and a flow table that is full.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../../src/testbed/command.js';
import { nodeObject } from '../../support/node-manifests.js';
import { NODE } from '../../support/node-world.js';
import { ERRORS } from '../../support/rfc-errors.js';
import { countPlaces, range, sendMany, udpOf } from '../../support/rfc-load.js';
import { FAMILIES, type Family, icmpTo, RfcWorld } from '../../support/rfc-world.js';

const BLOCK = 16;
const FLOW_ENTRIES = 256;

let world: RfcWorld;
beforeAll(async () => {
  const flags = { 'flow-entries': String(FLOW_ENTRIES) };
  world = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK } }, pods: ['a', 'b', 'c'], flags });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

test('6888-4a: another size of blocks is another limit', async () => {
  await using other = await RfcWorld.open({ spec: { nat: { blockSize: 8 } }, pods: ['a'] });
  for (const [one, size] of [
    [world, BLOCK],
    [other, 8],
  ] as const) {
    const places = await sendMany(one, { pod: 'a', family: 4, ports: range(10_000, 64), leaving: size });
    expect([places.length, countPlaces(places)]).toEqual([size, size]);
  }
}, 60_000);

/** An open connection of pod b to s1, and whether it still carries something. */
async function connection(family: Family, port: number): Promise<() => Promise<boolean>> {
  const listener = await (await world.sockets('s1')).listen(port);
  const client = await (await world.sockets('b')).connect({ address: world.server('s1', family).address, port });
  const { stream } = await listener.accept();
  return async () => {
    await client.write('question');
    await stream.write('answer');
    return (await stream.next()).text === 'question' && (await client.next()).text === 'answer';
  };
}

describe('a full table', () => {
  const open: (() => Promise<boolean>)[] = [];
  beforeAll(async () => {
    for (const { family } of FAMILIES)
      for (const port of [7001, 7002]) open.push(await connection(family, port + family * 10));
    await fillTable();
  });

  test('6888-11d: no connection that is open loses its place', async () => {
    expect(await Promise.all(open.map((works) => works()))).toEqual(open.map(() => true));
    expect(world.flows().length).toBeLessThanOrEqual(FLOW_ENTRIES);
  });

  test.each(FAMILIES)('6888-11b: who finds the table full is told: $name', async ({ family }) => {
    const frames = await world.frames('c');
    frames.clear();
    const outer = world.fromPod('c').ip({ source: world.pod('c', family), destination: world.crafted(family) });
    frames.send(outer.tcp({ source: 5555, destination: 6000 }));
    const { type, code } = ERRORS.prohibited[family];
    await frames.next(icmpTo(world.pod('c', family), type, code));
  });
});

/** Connections of all pods to many remotes, which nobody answers. */
async function fillTable(): Promise<void> {
  for (const pod of ['a', 'c', 'b']) {
    const frames = await world.frames(pod);
    const outer = world.fromPod(pod).ip({ source: world.pod(pod, 4), destination: world.crafted(4) });
    for (const destination of range(1000, 12))
      frames.send(...range(50_000, BLOCK).map((source) => outer.tcp({ source, destination })));
  }
  expect(await until(() => world.flows().length >= FLOW_ENTRIES * 0.75, 3000)).toBe(true);
}

describe('with a limit of flows', () => {
  test('6888-5: a pod has no more open flows than it may, and its neighbour has its own', async () => {
    await using world = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK, flowsPerPod: 10 } }, pods: [] });
    const count = async (pod: string): Promise<number> => {
      await world.addPod(pod);
      const frames = await world.frames(pod);
      const outer = world.fromPod(pod).ip({ source: world.pod(pod, 4), destination: world.crafted(4) });
      world.wire.clear();
      frames.send(...range(1000, 40).map((destination) => outer.tcp({ source: destination, destination })));
      return (await world.wire.during(({ network }) => network.destination === world.crafted(4), 500)).length;
    };
    expect([await count('limited'), await count('other')]).toEqual([10, 10]);
  });
});

describe('with quotas', () => {
  const quotas = { blocksPerPod: { initial: 1, maximum: 1 }, blocksPerNamespace: { namespaces: { test: 2 } } };

  test('6888-4n: pods of a namespace get no more blocks than it may have together', async () => {
    await using other = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK, ...quotas } }, pods: [] });
    for (const pod of ['one', 'two']) await other.addPod(pod);
    const third = async (): Promise<number> => {
      await other.addPod('three').catch(() => undefined);
      if (!other.pods.has('three')) return 0;
      return (await sendMany(other, { pod: 'three', family: 4, ports: range(10_000, 4), leaving: 0 })).length;
    };
    expect(await third()).toBe(0);
    expect(await sendMany(other, { pod: 'one', family: 4, ports: range(10_000, 4) })).toHaveLength(4);
  }, 60_000);
});

describe('with a pool of addresses', () => {
  const POOL = ['192.0.2.77', '192.0.2.99', '2001:db8:2::77', '2001:db8:2::1:99'];

  test('6888-3: addresses that do not lie side by side are all used', async () => {
    await using other = await RfcWorld.open({ spec: { nat: { ports: '60000-60063', blockSize: 32 } }, pods: [] });
    const labels = { 'kubernetes.io/hostname': other.nodeName };
    const node = nodeObject(other.nodeName, [NODE.ipv4, NODE.ipv6], ['10.244.1.0/24', 'fd00:244:1::/64']) as {
      metadata: object;
    };
    other.node.write('node.yaml', { ...node, metadata: { name: other.nodeName, labels } });
    other.node.write('pool.yaml', {
      apiVersion: 'isthmus.dev/v1alpha1',
      kind: 'EgressPool',
      metadata: { name: 'pool' },
      spec: { addresses: POOL, nodeSelector: { matchLabels: labels } },
    });
    // Of two blocks of an address, the first is the node's.
    const names = ['one', 'two', 'three'];
    const seen = new Set<string>();
    const all = async (): Promise<boolean> => {
      const next = names.find((name) => !other.pods.has(name));
      if (next === undefined) return true;
      await other.addPod(next).catch(() => other.node.deleteNamespace(next));
      return false;
    };
    expect(await until(all, 8000)).toBe(true);
    for (const name of names) {
      for (const { family } of FAMILIES)
        seen.add((await (await udpOf(other, name, family)).who(other.server('s1', family))).address);
    }
    expect([...seen].sort()).toEqual([NODE.ipv4, NODE.ipv6, ...POOL].sort());
  }, 60_000);
});
