// RFC 4787.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAMILIES, RfcWorld } from '../../support/rfc-world.js';

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ spec: { nat: { blockSize: 1024 } } });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

describe.each(FAMILIES)('$name', ({ family }) => {
  test('4787-1: a socket has one outside address and port for two servers with two addresses and two ports', async () => {
    const socket = await (await world.sockets('a')).udp(family);
    const seen = new Set<string>();
    for (const host of ['s1', 's2'] as const) {
      for (const address of [0, 1] as const) {
        for (const port of [0, 1] as const) {
          const at = await socket.who(world.server(host, family, { address, port }));
          seen.add(`${at.address} ${at.port}`);
        }
      }
    }
    expect(seen.size).toBe(1);
    expect([...seen][0]).toContain(world.nodeAddress(family));
  });
});
