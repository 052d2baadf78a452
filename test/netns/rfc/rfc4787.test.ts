// RFC 4787: the mappings of UDP. Filtering, lifetime and size have files of their own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeObject } from '../../support/node-manifests.js';
import { ERRORS } from '../../support/rfc-errors.js';
import { arrives, countPlaces, range, sendMany, udpOf } from '../../support/rfc-load.js';
import { FAMILIES, type Family, icmpTo, RfcWorld } from '../../support/rfc-world.js';
import type { At } from '../../support/sockets.js';

const BLOCK = 1024;
const NAT_PORTS = { first: 36_864, last: 65_535 };

let world: RfcWorld;
beforeAll(async () => {
  const pods = ['a', 'b', 'pool', 'full', 'parity', 'load'];
  world = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK } }, pods });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

describe.each(FAMILIES)('$name', ({ family }) => {
  test('4787-1: two servers with two addresses and two ports see one address and port of a socket', async () => {
    const socket = await udpOf(world, 'a', family);
    const seen: At[] = [];
    for (const host of ['s1', 's2'] as const) {
      for (const address of [0, 1] as const) {
        for (const port of [0, 1] as const) seen.push(await socket.who(world.server(host, family, { address, port })));
      }
    }
    expect([seen.length, countPlaces(seen)]).toEqual([8, 1]);
    expect(seen[0]?.address).toBe(world.nodeAddress(family));
  });

  test('4787-2: a thousand sockets of a pod have one outside address, and a port each', async () => {
    const places = await sendMany(world, { pod: 'pool', family, ports: range(10_000, 1000) });
    expect(new Set(places.map(({ address }) => address))).toEqual(new Set([world.nodeAddress(family)]));
    expect([places.length, countPlaces(places)]).toEqual([1000, 1000]);
  });

  test('4787-3: a full block gives no port twice, and refuses the next socket aloud', async () => {
    const frames = await world.frames('full');
    const places = await sendMany(world, { pod: 'full', family, ports: range(20_000, BLOCK) });
    expect([places.length, countPlaces(places)]).toEqual([BLOCK, BLOCK]);
    frames.clear();
    const more = await sendMany(world, { pod: 'full', family, ports: [30_000, 20_000], leaving: 1 });
    const { type, code } = ERRORS.prohibited[family];
    await frames.next(icmpTo(world.pod('full', family), type, code));
    expect(more).toEqual([places[0]]);
  });

  test('4787-3a: a port below 1024 leaves by a NAT port, as every other', async () => {
    const socket = await udpOf(world, 'a', family, 500);
    const { port } = await socket.who(world.server('s1', family));
    expect(port).toBeGreaterThanOrEqual(NAT_PORTS.first);
    expect(port).toBeLessThanOrEqual(NAT_PORTS.last);
  });

  test('4787-4: of sockets whose ports compete, some get a port of the other parity', async () => {
    const ports = range(2000, 16).flatMap((port) => [port, port + BLOCK]);
    const places = await sendMany(world, { pod: 'parity', family, ports });
    expect(places).toHaveLength(ports.length);
    expect(places.some(({ port }, index) => port % 2 !== (ports[index] ?? 0) % 2)).toBe(true);
  });

  test('4787-10: addresses in payloads stay what they are', async () => {
    const to = { address: world.crafted(family), port: 5060 };
    const text = `INVITE sip:b@${world.pod('b', family)} SIP/2.0\r\nVia: SIP/2.0/UDP ${world.pod('a', family)}:5060\r\n`;
    world.wire.clear();
    await (await udpOf(world, 'a', family, 5060)).send(text, to);
    const heard = await world.wire.next(({ network }) => network.destination === to.address, 'the INVITE');
    expect(heard.transport?.payload.toString()).toBe(text);
  });

  test('4787-11: with 0, 50 and 95 % of the block taken, mapping, filtering and hairpinning are the same', async () => {
    const before = await behaviour('load', family);
    await sendMany(world, { pod: 'load', family, ports: range(20_000, BLOCK / 2) });
    const half = await behaviour('load', family);
    await sendMany(world, { pod: 'load', family, ports: range(30_000, Math.floor(BLOCK * 0.45)) });
    const full = await behaviour('load', family);
    expect(before).toEqual({ places: 1, contact: true, stranger: false, hairpin: 'hello' });
    expect([half, full]).toEqual([before, before]);
  });
});

/** What a pod's new socket finds. */
async function behaviour(pod: string, family: Family): Promise<object> {
  const [socket, other] = [await udpOf(world, pod, family), await udpOf(world, 'b', family)];
  const to = await socket.who(world.server('s1', family));
  const places = [to, await socket.who(world.server('s2', family, { address: 1, port: 1 }))];
  const otherAt = await other.who(world.server('s1', family));
  await other.send('opens', to);
  await socket.send('hello', otherAt);
  return {
    places: countPlaces(places),
    contact: await arrives(world, { from: 's1', to, socket }),
    stranger: await arrives(world, { from: 'third', to, socket }),
    hairpin: (await other.next()).text,
  };
}

test('4787-7: a node whose address lies inside the pod CIDRs is refused, with the reason', async () => {
  world.node.write('second.yaml', nodeObject('second', ['10.244.9.9'], ['10.244.2.0/24']));
  const { state } = await world.node.waitFor(({ state: { problems } }) => problems.length > 0);
  expect(state.problems.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/its address 10\.244\.9\.9 lies inside the pod CIDR 10\.244\.0\.0\/16/),
  ]);
  world.node.write('second.yaml', '');
  await world.node.waitFor(({ state: { problems } }) => problems.length === 0);
});

test('4787-7: nothing for an address inside the pod CIDRs is translated or leaves', async () => {
  const to = { address: '10.244.77.7', port: 9999 };
  const frames = await world.frames('a');
  await (await udpOf(world, 'a', 4)).send('nobody is there', to);
  const { type, code } = ERRORS.hostUnreachable[4];
  await frames.next(icmpTo(world.pod('a', 4), type, code));
  expect(await world.wire.during(({ network }) => network.destination === to.address)).toEqual([]);
});
