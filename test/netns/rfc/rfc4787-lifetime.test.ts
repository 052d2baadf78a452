// RFC 4787: how long a mapping of UDP lives, what keeps it alive, and what does not end it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAPPING_SIDE } from '../../../src/datapath/types.gen.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { allErrors, ERRORS, packetOf, tellFromOutside } from '../../support/rfc-errors.js';
import { udpOf } from '../../support/rfc-load.js';
import { FAMILIES, type Family, icmpTo, monotonicSeconds, ofMapping, RfcWorld } from '../../support/rfc-world.js';
import type { At, Udp } from '../../support/sockets.js';

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a'] });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** A socket of the pod that talks to a remote made of frames. */
interface Talk {
  readonly family: Family;
  readonly socket: Udp;
  readonly remote: At;
  /** Its place outside. */
  readonly at: At;
}

async function talk(family: Family, remotePort = 9999): Promise<Talk> {
  const remote = { address: world.crafted(family), port: remotePort };
  const socket = await udpOf(world, 'a', family);
  const text = `hello from ${socket.port}`;
  await socket.send(text, remote);
  const heard = await world.wire.next(({ transport }) => transport?.payload.toString() === text, text);
  return { family, socket, remote, at: { address: heard.network.source, port: heard.transport?.source ?? 0 } };
}

function answer({ remote, at }: Talk): void {
  const outer = world.fromOutside().ip({ source: remote.address, destination: at.address });
  world.wire.send(outer.udp({ source: remote.port, destination: at.port }).payload('answer'));
}

/** Whether an answer still reaches the socket. */
async function isAlive(talking: Talk): Promise<boolean> {
  answer(talking);
  return (await talking.socket.during()).some(({ text }) => text === 'answer');
}

async function answered(family: Family, remotePort?: number): Promise<Talk> {
  const talking = await talk(family, remotePort);
  if (!(await isAlive(talking))) throw new Error('no answer came');
  return talking;
}

/** Lets talks of both families become old, and says later which of them a walk over the table left. */
class Ages {
  readonly #talks: { talking: Talk; seconds: number }[] = [];
  readonly #alive = new Map<Talk, boolean>();

  /** Seconds shorter than a limit by less than the walk may be away would be a matter of luck. */
  async add(seconds: number, make: (family: Family) => Promise<Talk>): Promise<() => (boolean | undefined)[]> {
    const talks = [await make(4), await make(6)];
    this.#talks.push(...talks.map((talking) => ({ talking, seconds })));
    return () => talks.map((talking) => this.#alive.get(talking));
  }

  async pass(): Promise<void> {
    for (const { talking, seconds } of this.#talks) world.age(seconds, talking.at);
    await world.sweep();
    for (const { talking } of this.#talks) this.#alive.set(talking, await isAlive(talking));
  }
}

/** When the entries of a mapping end: that of the pod's side, and that of the outside. */
function expiresOf(at: At): number[] {
  const { MAPPING_INSIDE, MAPPING_OUTSIDE } = MAPPING_SIDE;
  const entries = world.mappings().filter(([key, mapping]) => ofMapping(at)(key, mapping));
  return [MAPPING_INSIDE, MAPPING_OUTSIDE].flatMap((side) =>
    entries.filter(([key]) => key.side === side).map(([, { expires }]) => expires),
  );
}

/** Sends something every 100 seconds, for ten minutes. */
async function keptAlive(family: Family): Promise<Talk> {
  const talking = await talk(family);
  for (let seconds = 0; seconds < 600; seconds += 100) {
    world.age(100, talking.at);
    await talking.socket.send('still here', talking.remote);
    await world.wire.next(({ transport }) => transport?.payload.toString() === 'still here');
  }
  return talking;
}

/** Hears something after 250 seconds of silence. */
async function keptByRemote(family: Family): Promise<Talk> {
  const talking = await answered(family);
  world.age(250, talking.at);
  if (!(await isAlive(talking))) throw new Error('no answer came');
  return talking;
}

describe('by default', () => {
  const ages = new Ages();
  let result: Readonly<Record<string, () => (boolean | undefined)[]>>;
  beforeAll(async () => {
    result = {
      oneWay: await ages.add(113, talk),
      oneWayOld: await ages.add(121, talk),
      twoWay: await ages.add(293, answered),
      twoWayOld: await ages.add(301, answered),
      wellKnown: await ages.add(23, (family) => answered(family, 53)),
      wellKnownOld: await ages.add(31, (family) => answered(family, 53)),
      keptAlive: await ages.add(113, keptAlive),
      keptByRemote: await ages.add(250, keptByRemote),
    };
    await ages.pass();
  });

  test('4787-5: after almost two minutes without a packet an answer still comes in', () => {
    expect(result.oneWay?.()).toEqual([true, true]);
    const { udpOneWay, udpTwoWay } = DEFAULT_TIMEOUTS;
    expect(Math.min(udpOneWay, udpTwoWay)).toBeGreaterThanOrEqual(120);
  });

  test('4787-5a: towards port 53 a mapping lives for 30 s', () => {
    expect(result.wellKnown?.()).toEqual([true, true]);
    expect(result.wellKnownOld?.()).toEqual([false, false]);
    expect(DEFAULT_TIMEOUTS.udpWellKnown).toBe(30);
  });

  test('4787-5c: a mapping lives for 300 s after an answer, and without one for 120', () => {
    expect([result.twoWay?.(), result.oneWay?.()]).toEqual([
      [true, true],
      [true, true],
    ]);
    expect([result.twoWayOld?.(), result.oneWayOld?.()]).toEqual([
      [false, false],
      [false, false],
    ]);
    expect(DEFAULT_TIMEOUTS).toMatchObject({ udpOneWay: 120, udpTwoWay: 300 });
  });

  test('4787-6: a datagram every 100 s keeps a mapping for ten minutes, though nobody answers', () => {
    expect(result.keptAlive?.()).toEqual([true, true]);
  });

  test('4787-6a: what comes in from the remote keeps it, too', () => {
    expect(result.keptByRemote?.()).toEqual([true, true]);
  });

  test.each(FAMILIES)('4787-6: so does one to a new remote', async ({ family }) => {
    const { socket, at } = await talk(family);
    world.age(110, at);
    const before = expiresOf(at);
    await socket.send('somebody else', { address: world.crafted(family), port: 8888 });
    await world.wire.next(({ transport }) => transport?.destination === 8888 && transport.source === at.port);
    const after = expiresOf(at);
    expect([before.length, after.length]).toEqual([2, 2]);
    expect(Math.max(...before)).toBeLessThan(monotonicSeconds() + 15);
    expect(Math.min(...after)).toBeGreaterThan(monotonicSeconds() + 110);
  });
});

describe.each(FAMILIES)('$name', ({ family }) => {
  test('4787-12: after every kind of ICMP error the socket has its place and is answered', async () => {
    const remote = { address: world.crafted(family), port: 7777 };
    const socket = await udpOf(world, 'a', family);
    const at = await socket.who(world.server('s1', family));
    await socket.send('to be quoted', remote);
    const heard = await world.wire.next(({ transport }) => transport?.payload.toString() === 'to be quoted');
    const talking = { family, socket, remote, at };
    expect(heard.transport?.source).toBe(at.port);
    for (const error of allErrors(family)) {
      tellFromOutside(world, { family, error, quoted: packetOf(heard) });
      answer(talking);
      expect(await socket.next(), `after ICMP ${error.type}/${error.code}`).toMatchObject({ text: 'answer' });
    }
    expect(await socket.who(world.server('s2', family))).toEqual(at);
  });

  test('4787-12a: an error from whatever address reaches the pod', async () => {
    const frames = await world.frames('a');
    const { socket, remote } = await talk(family);
    await socket.send('to be quoted', remote);
    const heard = await world.wire.next(({ transport }) => transport?.payload.toString() === 'to be quoted');
    frames.clear();
    const from = family === 4 ? '203.0.113.99' : '2001:db8:66::99';
    const error = ERRORS.hostUnreachable[family];
    tellFromOutside(world, { family, from, error, quoted: packetOf(heard) });
    const told = await frames.next(icmpTo(world.pod('a', family), error.type, error.code));
    expect(told.network.source).toBe(from);
  });

  test('4787-12b: a socket learns that nobody listens at the remote port', async () => {
    const socket = await udpOf(world, 'a', family);
    await socket.attach({ address: world.server('s1', family).address, port: 9 });
    await socket.send('anybody?');
    expect(await socket.next()).toMatchObject({ error: 'ECONNREFUSED' });
  });
});

describe('configured', () => {
  beforeAll(() => world.configure({ timeouts: { udpOneWay: 400, udpTwoWay: 500 } }));

  test('4787-5b: mappings live as long as the configuration says', async () => {
    const ages = new Ages();
    const oneWay = await ages.add(393, talk);
    const twoWay = await ages.add(493, answered);
    const old = await ages.add(401, talk);
    await ages.pass();
    expect([oneWay(), twoWay(), old()]).toEqual([
      [true, true],
      [true, true],
      [false, false],
    ]);
  });
});
