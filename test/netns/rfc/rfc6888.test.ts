// RFC 6888: what is asked of a translator that many share.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON } from '../../../src/datapath/types.gen.js';
import { DEFAULT_REUSE_HOLD } from '../../../src/model/network.js';
import { until } from '../../../src/testbed/command.js';
import { runCli } from '../../support/cli.js';
import { service } from '../../support/node-manifests.js';
import { PORT } from '../../support/node-world.js';
import { ERRORS } from '../../support/rfc-errors.js';
import { countPlaces, range, sendMany, udpOf } from '../../support/rfc-load.js';
import { FAMILIES, icmpTo, RfcWorld } from '../../support/rfc-world.js';
import type { At } from '../../support/sockets.js';

const BLOCK = 32;
const VIP = '10.96.0.10';
const SPEC = {
  nat: { blockSize: BLOCK },
  ipv4: { masquerade: { exceptCIDRs: ['198.18.3.0/24'] } },
  ipv6: { masquerade: { exceptCIDRs: ['2001:db8:18:3::/64'] } },
};

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ spec: SPEC, pods: ['a', 'b', 'greedy', 'served'] });
  await world.node.ip('outside', `route add ${VIP}/32 via ${world.nodeAddress(4)}`);
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const nat = async (...words: string[]): Promise<{ kind: string; items: Record<string, unknown>[] }> => {
  const { stdout, stderr, status } = await runCli('nat', ...words, '--state-dir', world.node.stateDir, '-o', 'json');
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { kind: string; items: Record<string, unknown>[] };
};

/** All lines of the journal. */
function journal(): string[] {
  const directory = join(world.node.stateDir, 'journal');
  const files = readdirSync(directory).sort();
  return files.flatMap((name) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'));
}

describe.each(FAMILIES)('$name', ({ family }) => {
  test('6888-1: UDP, TCP, SCTP and echo are translated, other protocols are not forwarded', async () => {
    const at = await (await udpOf(world, 'a', family)).who(world.server('s1', family));
    const tcp = await (await (await world.sockets('a')).connect(world.server('s1', family))).who();
    const ping = await world.node.exec('a', ['ping', '-c', '1', '-W', '1', world.server('s1', family).address]);
    expect([at.address, tcp.address, ping.status]).toEqual([world.nodeAddress(family), world.nodeAddress(family), 0]);
    const [source, destination] = [world.pod('a', family), world.crafted(family)];
    const frame = world.fromPod('a');
    (await world.frames('a')).send(frame.ip({ source, destination }).sctp({ source: 3868, destination: 3868 }));
    const init = await world.wire.next(({ transport }) => transport?.name === 'sctp', 'the INIT');
    expect([init.network.source, init.transport?.checksum]).toEqual([world.nodeAddress(family), 'ok']);
    const dccp =
      family === 4 ? frame.ipv4({ source, destination, protocol: 33 }) : frame.ipv6({ source, destination, next: 33 });
    const before = world.node.drops(DROP_REASON.DROP_UNSUPPORTED_PROTOCOL);
    (await world.frames('a')).send(dccp.payload(32));
    await expect.poll(() => world.node.drops(DROP_REASON.DROP_UNSUPPORTED_PROTOCOL)).toBe(before + 1);
  });

  test('6888-2: all that a pod sends to several remotes leaves with one address', async () => {
    const seen: At[] = [];
    for (const host of ['s1', 's2'] as const) {
      for (const address of [0, 1] as const)
        seen.push(await (await udpOf(world, 'a', family)).who(world.server(host, family, { address })));
    }
    expect(new Set(seen.map(({ address }) => address)).size).toBe(1);
  });

  test('6888-4: a pod gets so many ports and no more, and its neighbour gets its own', async () => {
    const places = await sendMany(world, { pod: 'greedy', family, ports: range(10_000, BLOCK * 2), leaving: BLOCK });
    expect([places.length, countPlaces(places)]).toEqual([BLOCK, BLOCK]);
    const neighbour = await (await udpOf(world, 'b', family)).who(world.server('s1', family));
    expect(places.map(({ port }) => port)).not.toContain(neighbour.port);
  });

  test('6888-6: where translation is switched off, a server sees the pod itself', async () => {
    const to = world.server('third', family);
    const socket = await udpOf(world, 'a', family);
    const before = world.flows().length;
    expect(await socket.who(to)).toEqual({ address: world.pod('a', family), port: socket.port });
    expect(world.flows().length).toBe(before);
    expect((await socket.who(world.server('s1', family))).address).toBe(world.nodeAddress(family));
  });

  test('6888-11a: what no mapping can be made for does not leave', async () => {
    await sendMany(world, { pod: 'greedy', family, ports: range(10_000, BLOCK) });
    expect(await sendMany(world, { pod: 'greedy', family, ports: [30_000], leaving: 0 })).toEqual([]);
  });

  test('6888-11b: its sender is told', async () => {
    const frames = await world.frames('greedy');
    await sendMany(world, { pod: 'greedy', family, ports: range(10_000, BLOCK) });
    frames.clear();
    await sendMany(world, { pod: 'greedy', family, ports: [30_001], leaving: 0 });
    const { type, code } = ERRORS.prohibited[family];
    await frames.next(icmpTo(world.pod('greedy', family), type, code));
  });

  test('6888-11c: refusals are counted for the operator, by reason', async () => {
    const refused = async () =>
      (await nat('stats')).items.map(({ choices }) => (choices as { exhausted: number }).exhausted)[0] ?? 0;
    await sendMany(world, { pod: 'greedy', family, ports: range(10_000, BLOCK) });
    const [before, drops] = [await refused(), world.node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)];
    await sendMany(world, { pod: 'greedy', family, ports: range(31_000, 5), leaving: 0 });
    await expect.poll(() => world.node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)).toBe(drops + 5);
    expect(await refused()).toBe(before + 5);
  });

  test('6888-13: every port of a block serves, for each remote anew', async () => {
    const frames = await world.frames('b');
    const destination = world.crafted(family);
    const outer = world.fromPod('b').ip({ source: world.pod('b', family), destination });
    world.wire.clear();
    for (const port of [3001, 3002, 3003])
      frames.send(...range(40_000, BLOCK).map((source) => outer.tcp({ source, destination: port })));
    const heard = () => world.wire.during(({ network }) => network.destination === destination, 0);
    await expect.poll(async () => (await heard()).length).toBe(3 * BLOCK);
    const places = (await heard()).map(({ network, transport }) => ({
      address: network.source,
      port: transport?.source ?? 0,
    }));
    expect(countPlaces(places)).toBe(BLOCK);
  });
});

test('6888-9: a Service opens an address to the outside, beside the mappings of its pod', async () => {
  await world.node.startServer('served');
  world.node.write('service.yaml', ...service('web', VIP, [world.pod('served', 4)]));
  const client = () => world.node.probe('third', 'tcp', VIP, '80', 'who', '--timeout', '500');
  expect(await until(async () => (await client()).ok, 5000)).toBe(true);
  const at = await (await udpOf(world, 'served', 4)).who(world.server('s1', 4));
  expect(at.address).toBe(world.nodeAddress(4));
  expect(await (await (await world.sockets('served')).connect(world.server('s1', 4), PORT + 1)).who()).toMatchObject({
    address: world.nodeAddress(4),
  });
  expect(await client()).toMatchObject({ ok: true });
});

test('6888-10: translations can be listed and counted, as JSON', async () => {
  const at = await (await udpOf(world, 'a', 4)).who(world.server('s1', 4));
  const { kind, items } = await nat('list', '--pod', 'test/a');
  expect(kind).toBe('TranslationList');
  expect(items).toContainEqual(expect.objectContaining({ pod: { namespace: 'test', name: 'a' }, outside: at }));
  const [stats] = (await nat('stats')).items;
  expect(stats?.addresses).toContainEqual(expect.objectContaining({ address: world.nodeAddress(4) }));
});

test('6888-12: the journal names no destination', async () => {
  await (await udpOf(world, 'a', 4)).who(world.server('s2', 4));
  const text = journal().join('\n');
  expect(text).toContain(world.pod('a', 4));
  for (const { family } of FAMILIES) {
    for (const host of ['s1', 's2', 'third'] as const) expect(text).not.toContain(world.server(host, family).address);
    expect(text).not.toContain(world.crafted(family));
  }
});

test('6888-14: a thousand flows add nothing to the journal, a pod adds a line', async () => {
  const before = journal();
  const frames = await world.frames('a');
  const outer = world.fromPod('a').ip({ source: world.pod('a', 4), destination: world.crafted(4) });
  const flows = world.flows().length;
  for (const destination of range(1000, 50))
    frames.send(...range(50_000, 20).map((source) => outer.tcp({ source, destination })));
  await expect.poll(() => world.flows().length, { timeout: 5000 }).toBe(flows + 2000);
  expect(journal()).toEqual(before);
  await world.addPod('late');
  const added = journal().slice(before.length);
  expect(added).toHaveLength(1);
  expect(added[0]?.length).toBeLessThan(1000);
});

test('6888-8: the ports of a pod that is gone rest before another gets them', async () => {
  const two = { nat: { ports: '60000-60063', blockSize: BLOCK, reuseHold: 3 } };
  await using small = await RfcWorld.open({ spec: two, pods: ['first'] });
  const before = await (await udpOf(small, 'first', 4)).who(small.server('s1', 4));
  await small.node.deletePod('first');
  await expect(small.addPod('second')).rejects.toThrow(/"code":11/);
  await small.node.deleteNamespace('second');
  const added = async (): Promise<boolean> =>
    small.addPod('second').then(
      () => true,
      () => small.node.deleteNamespace('second').then(() => false),
    );
  expect(await until(added, 10_000)).toBe(true);
  const after = await (await udpOf(small, 'second', 4)).who(small.server('s1', 4));
  expect(Math.floor(after.port / BLOCK)).toBe(Math.floor(before.port / BLOCK));
  expect(DEFAULT_REUSE_HOLD).toBeGreaterThanOrEqual(120);
}, 60_000);

test('6888-7: by default a stranger is not let in; when switched on, it is', async () => {
  const stranger = async (): Promise<boolean> => {
    const socket = await udpOf(world, 'a', 4);
    const at = await socket.who(world.server('s1', 4));
    await (await udpOf(world, 's2', 4)).send('unasked', at);
    return (await socket.during()).length > 0;
  };
  expect(await stranger()).toBe(false);
  await world.configure({ ...SPEC, nat: { ...SPEC.nat, filtering: 'EndpointIndependent' } });
  expect(await stranger()).toBe(true);
});
