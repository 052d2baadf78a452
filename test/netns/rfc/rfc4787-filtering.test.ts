// RFC 4787: who may send to a mapping, and pods that meet by their outside addresses.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, udpOf } from '../../support/rfc-load.js';
import { FAMILIES, type Family, RfcWorld } from '../../support/rfc-world.js';
import type { At, Udp } from '../../support/sockets.js';

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a', 'b'] });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** A socket with a mapping, and its place outside. */
async function mapped(pod: string, family: Family): Promise<{ socket: Udp; at: At }> {
  const socket = await udpOf(world, pod, family);
  return { socket, at: await socket.who(world.server('s1', family)) };
}

describe.each(FAMILIES)('by default, $name', ({ family }) => {
  test('4787-8: a remote address that was sent to is let in from any port, another is not', async () => {
    const { socket, at } = await mapped('a', family);
    expect(await arrives(world, { from: 's1', to: at, socket })).toBe(true);
    expect(await arrives(world, { from: 'third', to: at, socket })).toBe(false);
  });
});

/** The default first: it is in force already. */
const FILTERINGS = [
  { filtering: 'AddressDependent', known: true, stranger: false, at: {} },
  { filtering: 'EndpointIndependent', known: true, stranger: true, at: { filtering: 'EndpointIndependent' } },
  {
    filtering: 'AddressAndPortDependent',
    known: false,
    stranger: false,
    at: { filtering: 'AddressAndPortDependent' },
  },
];

describe.each(FILTERINGS)('$filtering', ({ filtering, known, stranger, at: nat }) => {
  beforeAll(() => world.configure(filtering === 'AddressDependent' ? {} : { nat }));

  describe.each(FAMILIES)('$name', ({ family }) => {
    test('4787-8a: a new port of a known remote, and a stranger, are let in as configured', async () => {
      const { socket, at } = await mapped('a', family);
      expect(await arrives(world, { from: 's1', to: at, socket })).toBe(known);
      expect(await arrives(world, { from: 'third', to: at, socket })).toBe(stranger);
      expect(await socket.who(world.server('s1', family))).toEqual(at);
    });

    test.each([
      ['two pods', 'b'],
      ['two sockets of a pod', 'a'],
    ])('4787-9: %s of a node that send to each other hear each other', async (_, other) => {
      const [left, right] = [await mapped('a', family), await mapped(other, family)];
      await left.socket.send('first', right.at);
      const [first] = await right.socket.during();
      expect(first?.text).toBe(stranger ? 'first' : undefined);
      await right.socket.send('second', left.at);
      expect(await left.socket.next()).toMatchObject({ text: 'second', from: right.at });
      await left.socket.send('third', right.at);
      expect(await right.socket.next()).toMatchObject({ text: 'third', from: left.at });
    });

    test('4787-9a: a pod that is reached by its outside place sees the outside place of the other', async () => {
      const [left, right] = [await mapped('a', family), await mapped('b', family)];
      await right.socket.send('opens the way', left.at);
      await left.socket.during(50);
      await left.socket.send('hello', right.at);
      expect(await right.socket.next()).toMatchObject({ text: 'hello', from: left.at });
      await right.socket.send('hello yourself', left.at);
      expect(await left.socket.next()).toMatchObject({ text: 'hello yourself', from: right.at });
    });
  });
});
