// RFC 5508: queries, and what the translator itself says. Errors have a file of their own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON } from '../../../src/datapath/types.gen.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import type { Heard } from '../../support/frames.js';
import type { Packet } from '../../support/packet.js';
import { ERRORS, icmpError, packetOf, tellFromOutside } from '../../support/rfc-errors.js';
import { range } from '../../support/rfc-load.js';
import { FAMILIES, type Family, icmpTo, RfcWorld } from '../../support/rfc-world.js';

const BLOCK = 64;
const PROTOCOL = { 4: 1, 6: 58 } as const;
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK } }, pods: ['a', 'full'] });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

let lastId = 100;

/** A packet of a pod without a transport. */
function outOf(pod: string, family: Family, destination = world.crafted(family), ttl = 64): Packet {
  return world.fromPod(pod).ip({ source: world.pod(pod, family), destination, ttl });
}

function intoNode(family: Family, source = world.crafted(family), ttl = 64): Packet {
  return world.fromOutside().ip({ source, destination: world.nodeAddress(family), ttl });
}

/** An echo request of pod a; returns its identifiers inside and outside. */
async function query(family: Family): Promise<{ inside: number; outside: number; heard: Heard }> {
  const inside = ++lastId;
  world.wire.clear();
  (await world.frames('a')).send(outOf('a', family).echo({ id: inside }).payload(`query ${inside}`));
  const heard = await world.wire.next(({ transport }) => transport?.payload.toString() === `query ${inside}`);
  return { inside, outside: heard.network.body.readUInt16BE(4), heard };
}

async function isAnswered(family: Family, { inside, outside }: { inside: number; outside: number }): Promise<boolean> {
  const frames = await world.frames('a');
  frames.clear();
  world.wire.send(intoNode(family).echo({ id: outside, reply: true }).payload('reply'));
  const heard = await frames.during(icmpTo(world.pod('a', family), ECHO[family].reply));
  return heard.some(({ network }) => network.body.readUInt16BE(4) === inside);
}

/** Whether queries that are so many seconds old are still answered after a walk over the table. */
async function areAnswered(ages: readonly number[]): Promise<boolean[][]> {
  const queries = [];
  for (const seconds of ages)
    for (const { family } of FAMILIES) queries.push({ seconds, family, ...(await query(family)) });
  for (const { seconds, family, outside } of queries)
    world.age(seconds, { address: world.nodeAddress(family), port: outside });
  await world.sweep();
  const answers: boolean[] = [];
  for (const one of queries) answers.push(await isAnswered(one.family, one));
  return ages.map((_, index) => answers.slice(index * 2, index * 2 + 2));
}

describe.each(FAMILIES)('$name', ({ family }) => {
  test('5508-1: ping gets answers from two servers', async () => {
    for (const host of ['s1', 's2'] as const) {
      const ping = ['ping', '-n', '-c', '3', '-i', '0.05', '-W', '2', world.server(host, family).address];
      expect((await world.node.exec('a', ping)).stdout).toMatch(/ 0% packet loss/);
    }
  });

  test('5508-1a: a query to each remote is a session of its own, and no mapping admits others', async () => {
    const inside = ++lastId;
    const frames = await world.frames('a');
    for (const host of ['s1', 's2'] as const)
      frames.send(outOf('a', family, world.server(host, family).address).echo({ id: inside }));
    const sessions = () =>
      world
        .flows()
        .filter(
          ([key]) =>
            key.protocol === PROTOCOL[family] && key.source === world.pod('a', family) && key.source_port === inside,
        );
    await expect.poll(() => sessions().length).toBe(2);
    expect(world.mappings().filter(([key]) => key.protocol === PROTOCOL[family])).toEqual([]);
  });

  test.each([
    ['UDP', (packet: Packet, source: number) => packet.udp({ source, destination: 9 }).payload('x')],
    ['TCP', (packet: Packet, source: number) => packet.tcp({ source, destination: 9 })],
    ['echo', (packet: Packet, id: number) => packet.echo({ id }).payload('x')],
  ])('5508-8: when no port is left, a new flow is dropped and answered with 3/13 (IPv6: 1/1): %s', async (_, make) => {
    const frames = await world.frames('full');
    const { type, code } = ERRORS.prohibited[family];
    const destination = world.crafted(family);
    world.wire.clear();
    frames.clear();
    frames.send(...range(5000, BLOCK).map((port) => make(outOf('full', family), port)));
    const left = () => world.wire.during(({ network }) => network.destination === destination, 0);
    await expect.poll(async () => (await left()).length).toBe(BLOCK);
    const before = world.node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED);
    frames.send(make(outOf('full', family), 6000));
    const { quoted } = await frames.next(icmpTo(world.pod('full', family), type, code));
    expect([quoted?.network.source, quoted?.network.destination]).toEqual([world.pod('full', family), destination]);
    expect(world.node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)).toBe(before + 1);
    expect(await left()).toHaveLength(BLOCK);
  });

  test('5508-9: a packet that has come too far is answered on both sides', async () => {
    const frames = await world.frames('a');
    const { type } = ERRORS.timeExceeded[family];
    world.wire.clear();
    frames.clear();
    frames.send(outOf('a', family, world.crafted(family), 1).udp({ source: 4000, destination: 9 }));
    await frames.next(icmpTo(world.pod('a', family), type));
    const { outside } = await query(family);
    world.wire.send(intoNode(family, world.crafted(family), 1).echo({ id: outside, reply: true }));
    await world.wire.next(icmpTo(world.crafted(family), type));
  });

  test('5508-10a: the node says "time exceeded" and "unreachable" to a pod, and answers echo requests', async () => {
    const frames = await world.frames('a');
    frames.clear();
    frames.send(outOf('a', family, world.crafted(family), 1).udp({ source: 4001, destination: 9 }));
    const late = await frames.next(icmpTo(world.pod('a', family), ERRORS.timeExceeded[family].type));
    expect(late.network.source).toBe(world.nodeAddress(family));
    const nowhere = family === 4 ? '198.18.98.1' : '2001:db8:18:98::1';
    await world.node.ip('node', `-${family} route replace unreachable ${nowhere}`);
    frames.send(outOf('a', family, nowhere).udp({ source: 4002, destination: 9 }));
    await frames.next(icmpTo(world.pod('a', family), ERRORS.hostUnreachable[family].type, 0));
    const ping = ['ping', '-n', '-c', '1', '-W', '2', world.nodeAddress(family)];
    for (const from of ['a', 'third']) expect((await world.node.exec(from, ping)).status).toBe(0);
  });

  test('5508-10b: "parameter problem" is translated, other queries than echo are dropped', async () => {
    const frames = await world.frames('a');
    const { heard } = await query(family);
    const { type, code } = ERRORS.parameterProblem[family];
    tellFromOutside(world, { family, error: { type, code, rest: 20 }, quoted: packetOf(heard) });
    await frames.next(icmpTo(world.pod('a', family), type, code));
    const before = world.node.drops(DROP_REASON.DROP_ICMP_UNSUPPORTED);
    frames.send(icmpError(outOf('a', family), family, { type: family === 4 ? 13 : 139, code: 0 }).payload(12));
    await expect.poll(() => world.node.drops(DROP_REASON.DROP_ICMP_UNSUPPORTED)).toBe(before + 1);
  });

  test('5508-10c: source quench is not passed on, nor is a request for information', async () => {
    const frames = await world.frames('a');
    const { heard } = await query(family);
    const dropped = () => world.node.drops(DROP_REASON.DROP_ICMP_UNSUPPORTED);
    const before = dropped();
    const quench = family === 4 ? 4 : 100;
    const information = family === 4 ? 15 : 139;
    frames.clear();
    world.wire.clear();
    tellFromOutside(world, { family, error: { type: quench, code: 0 }, quoted: packetOf(heard) });
    frames.send(icmpError(outOf('a', family), family, { type: information, code: 0 }).payload(4));
    expect(await frames.during(icmpTo(world.pod('a', family), quench))).toEqual([]);
    expect(await world.wire.during(icmpTo(world.crafted(family), information), 0)).toEqual([]);
    expect(dropped()).toBe(before + 1);
  });

  test('5508-11: a redirect from outside does not reach a pod', async () => {
    const frames = await world.frames('a');
    const { heard } = await query(family);
    const redirect = family === 4 ? 5 : 137;
    frames.clear();
    tellFromOutside(world, { family, error: { type: redirect, code: 0 }, quoted: packetOf(heard) });
    expect(await frames.during(icmpTo(world.pod('a', family), redirect))).toEqual([]);
  });
});

test('5508-2: after almost a minute a query is still answered, by default', async () => {
  expect(await areAnswered([53, 61])).toEqual([
    [true, true],
    [false, false],
  ]);
  expect(DEFAULT_TIMEOUTS.icmp).toBeGreaterThanOrEqual(60);
});

test('5508-2a: and longer when configured so', async () => {
  await world.configure({ nat: { blockSize: BLOCK }, timeouts: { icmp: 300 } });
  expect(await areAnswered([293, 301])).toEqual([
    [true, true],
    [false, false],
  ]);
});
