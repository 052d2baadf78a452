// RFC 4787: datagrams that are too large for a link, and those that come in pieces.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start, until } from '../../../src/testbed/command.js';
import { PROBE } from '../../../src/testbed/files.js';
import { ERRORS } from '../../support/rfc-errors.js';
import { FAMILIES, type Family, icmpTo, RfcWorld } from '../../support/rfc-world.js';

const MTU = 1300;
const ECHO_PORT = 7000;
const COUNT = 50;

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a', 'b'] });
  const { node } = world;
  // The step is on the node's way to s2, and behind the router on the way to s1.
  await node.ip('node', `route add 198.18.2.0/24 via ${world.routerAddress(4)} mtu lock ${MTU}`);
  await node.ip('node', `-6 route add 2001:db8:18:2::/64 via ${world.routerAddress(6)} mtu lock ${MTU}`);
  await node.ip('outside', `link set s1 mtu ${MTU}`);
  for (const { family } of FAMILIES) await startEcho(family);
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** Echoes datagrams in fragments of reversed order. */
async function startEcho(family: Family): Promise<void> {
  const { node } = world;
  const { address } = world.server('third', family);
  start([PROBE, 'reorder', '--bind', address, '--port', String(ECHO_PORT), '--order', 'reversed'], {
    netns: node.netns('third'),
    cgroup: node.cgroupOf('third'),
    log: join(node.directory, 'servers.log'),
  });
  expect(
    await until(async () => (await fragments('a', family, { order: 'kept', count: 1 })).received === 1, 5000),
  ).toBe(true);
}

interface Shape {
  readonly order: string;
  readonly count?: number;
  readonly rate?: number;
}

type FragmentReport = Readonly<Record<'sent' | 'received' | 'damaged' | 'fragments', number>>;

async function fragments(
  pod: string,
  family: Family,
  { order, count = COUNT, rate = 1000 }: Shape,
): Promise<FragmentReport> {
  const { address } = world.server('third', family);
  const numbers = { order, count, rate, size: 4000, timeout: 500 };
  const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const report: unknown = await world.node.probe(pod, 'fragments', 'udp', address, String(ECHO_PORT), ...flags);
  return report as FragmentReport;
}

describe.each(FAMILIES)('$name', ({ family }) => {
  test.each([
    ["the node's own way out", 's2'],
    ['a link behind the router', 's1'],
  ] as const)('4787-13: what is too large for %s is answered, with its own header and the MTU', async (_, host) => {
    const frames = await world.frames('a');
    const destination = world.server(host, family).address;
    const source = world.pod('a', family);
    const under = world.fromPod('a');
    const outer =
      family === 4 ? under.ipv4({ source, destination, dontFragment: true }) : under.ipv6({ source, destination });
    frames.clear();
    frames.send(outer.udp({ source: 4321, destination: 9 }).payload(1400));
    const { type, code } = ERRORS.tooBig[family];
    const { transport, quoted } = await frames.next(icmpTo(source, type, code), 'the answer');
    expect(transport?.text).toMatch(new RegExp(` 0 ${MTU}$`));
    expect([quoted?.network.source, quoted?.network.destination]).toEqual([source, destination]);
    expect(quoted?.network.body.readUInt16BE(0)).toBe(4321);
  });

  test('4787-14: datagrams in reversed and interleaved fragments go out, and their reversed answers come in', async () => {
    for (const order of ['reversed', 'interleaved']) {
      expect(await fragments('a', family, { order })).toMatchObject({ sent: COUNT, received: COUNT, damaged: 0 });
    }
  });

  test('4787-14a: 100 000 bogus fragments a second of one pod do not hinder what another sends', async () => {
    const flood = fragments('b', family, { order: 'bogus', count: 150_000, rate: 100_000 });
    const { address, port } = world.server('s2', family);
    const stream = ['stream', '--rate', '500', '--seconds', '1', '--size', '200'];
    const whole = world.node.probe('a', 'udp', address, String(port), ...stream);
    const kept = await fragments('a', family, { order: 'kept', count: 200, rate: 300 });
    expect(kept).toMatchObject({ received: 200, damaged: 0 });
    expect(await whole).toMatchObject({ lost: 0 });
    expect((await flood).fragments).toBe(150_000);
  });
});

test('4787-13a: what may be cut leaves in fragments that fit, in order', async () => {
  const frames = await world.frames('a');
  const { address } = world.server('s2', 4);
  world.wire.clear();
  frames.send(
    world
      .fromPod('a')
      .ipv4({ source: world.pod('a', 4), destination: address, id: 77 })
      .udp({ source: 4322, destination: 9 })
      .payload(1400),
  );
  const heard = await world.wire.during(({ network }) => network.destination === address, 500);
  expect(heard.length).toBeGreaterThan(1);
  expect(heard.every(({ network }) => network.length <= MTU)).toBe(true);
  expect(heard.map(({ network }) => / at (\d+)/.exec(network.fragment)?.[1] ?? '0')).toEqual(
    heard
      .map(({ network }) => Number(/ at (\d+)/.exec(network.fragment)?.[1] ?? 0))
      .sort((x, y) => x - y)
      .map(String),
  );
  expect(heard.reduce((sum, { network }) => sum + network.body.length, 0)).toBe(1408);
});
