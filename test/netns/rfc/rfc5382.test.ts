// RFC 5382: what TCP needs of a translator.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON } from '../../../src/datapath/types.gen.js';
import { pause } from '../../../src/testbed/command.js';
import type { Heard } from '../../support/frames.js';
import { allErrors, ERRORS, packetOf, tellFromOutside } from '../../support/rfc-errors.js';
import { countPlaces, range } from '../../support/rfc-load.js';
import { between, FAMILIES, type Family, icmpTo, ofPlace, RfcWorld } from '../../support/rfc-world.js';
import type { At, Listener, Stream } from '../../support/sockets.js';

const BLOCK = 64;
const SILENCE_MS = 6200;

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ spec: { nat: { blockSize: BLOCK } }, pods: ['a', 'b', 'many', 'full'] });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

let lastPort = 20_000;
/** Of a listener or a client, used once. */
const newPort = (): number => ++lastPort;

/** A connection of pod a to a listener in s1: both ends, and the pod's place outside. */
async function pair(family: Family): Promise<{ client: Stream; server: Stream; at: At }> {
  const port = newPort();
  const listener = await (await world.sockets('s1')).listen(port);
  const client = await (await world.sockets('a')).connect({ address: world.server('s1', family).address, port });
  const { stream, from } = await listener.accept();
  return { client, server: stream, at: from };
}

/** SYNs of new sockets of a pod to the crafted remote's ports; returns what left. */
async function synMany(pod: string, family: Family, remotes: readonly number[], each: number): Promise<Heard[]> {
  const frames = await world.frames(pod);
  const address = world.crafted(family);
  const frame = world.fromPod(pod).ip({ source: world.pod(pod, family), destination: address });
  world.wire.clear();
  for (const destination of remotes)
    frames.send(...range(30_000, each).map((source) => frame.tcp({ source, destination })));
  return world.wire.during(
    ({ network, transport }) => network.destination === address && transport?.name === 'tcp',
    500,
  );
}

const placeOf = ({ network, transport }: Heard): At => ({ address: network.source, port: transport?.source ?? 0 });

/** Whether somebody can connect to a place; the listener behind it hears of it when so. */
async function canConnect(host: 's1' | 'third', to: At, listener: Listener): Promise<boolean> {
  void (await world.sockets(host)).connect(to).catch(() => undefined);
  const [event] = await listener.during(300);
  return event?.accepted !== undefined;
}

describe('by default', () => {
  describe.each(FAMILIES)('$name', ({ family }) => {
    test('5382-1: remotes share ports, so that a pod has more connections than ports', async () => {
      const heard = await synMany('many', family, [1001, 1002, 1003], BLOCK - 4);
      expect(heard).toHaveLength(3 * (BLOCK - 4));
      expect(countPlaces(heard.map(placeOf))).toBeLessThanOrEqual(BLOCK);
    });

    test('5382-2: what is said after one side has ended arrives, and both end', async () => {
      const { client, server } = await pair(family);
      await client.write('question');
      expect(await server.next()).toMatchObject({ text: 'question' });
      await client.end();
      expect(await server.next()).toMatchObject({ ended: true });
      await server.write('late answer');
      expect(await client.next()).toMatchObject({ text: 'late answer' });
      await server.end();
      expect(await client.next()).toMatchObject({ ended: true });
    });

    test('5382-2: both sides may end at once', async () => {
      const { client, server } = await pair(family);
      await Promise.all([client.end(), server.end()]);
      expect(await client.next()).toMatchObject({ ended: true });
      expect(await server.next()).toMatchObject({ ended: true });
    });

    test('5382-2a: a SYN that crosses the SYN of the pod opens the connection', async () => {
      const to = { address: world.crafted(family), port: newPort() };
      world.wire.clear();
      const connecting = (await world.sockets('a')).connect(to);
      const syn = await world.wire.next(({ transport }) => transport?.destination === to.port, 'the SYN');
      const pod = placeOf(syn);
      const frame = world.fromOutside().ip({ source: to.address, destination: pod.address });
      const ports = { source: to.port, destination: pod.port };
      const seq = syn.network.body.readUInt32BE(4);
      world.wire.send(frame.tcp({ ...ports, flags: 'S', seq: 5000 }));
      const both = await world.wire.next(({ transport }) => / SA seq /.test(transport?.text ?? ''), 'SYN and ACK');
      expect(both.network.body.readUInt32BE(8)).toBe(5001);
      world.wire.send(frame.tcp({ ...ports, flags: 'SA', seq: 5000, ack: seq + 1 }));
      const stream = await connecting;
      world.wire.send(frame.tcp({ ...ports, flags: 'PA', seq: 5001, ack: seq + 1 }).payload('hello'));
      expect(await stream.next()).toMatchObject({ text: 'hello' });
    });

    test('5382-6: addresses in payloads stay what they are', async () => {
      const { client, server } = await pair(family);
      const text = `EPRT |1|${world.pod('a', family)}|2000|\r\nPORT 10,244,1,1,7,208\r\n`;
      await client.write(text);
      expect((await server.next()).text).toBe(text);
    });

    test('5382-7: a full block gives no port twice, and refuses the next connection aloud', async () => {
      const frames = await world.frames('full');
      frames.clear();
      const heard = await synMany('full', family, [1001], BLOCK + 3);
      expect([heard.length, countPlaces(heard.map(placeOf))]).toEqual([BLOCK, BLOCK]);
      const { type, code } = ERRORS.prohibited[family];
      expect(await frames.during(icmpTo(world.pod('full', family), type, code))).toHaveLength(3);
    });

    test('5382-9: a connection to what is unreachable fails at once', async () => {
      const prefix = family === 4 ? '198.18.99.0/24' : '2001:db8:18:99::/64';
      await world.node.ip('outside', `-${family} route replace unreachable ${prefix}`);
      const address = family === 4 ? '198.18.99.1' : '2001:db8:18:99::1';
      await expect((await world.sockets('a')).connect({ address, port: 80 })).rejects.toThrow(
        /EHOSTUNREACH|ENETUNREACH/,
      );
    });

    test('5382-10: after every kind of ICMP error the connection goes on', async () => {
      const { client, server, at } = await pair(family);
      const remote = world.server('s1', family).address;
      world.wire.clear();
      await client.write('to be quoted');
      const heard = await world.wire.next(
        ({ network, transport }) => network.destination === remote && transport?.payload.toString() === 'to be quoted',
      );
      expect((await server.next()).text).toBe('to be quoted');
      const entries = () => world.flows().filter(([key, flow]) => ofPlace(at)(key, flow)).length;
      const before = entries();
      expect(before).toBeGreaterThanOrEqual(2);
      for (const error of allErrors(family)) {
        tellFromOutside(world, { family, error, quoted: packetOf(heard) });
        await client.write('out');
        expect(await server.next(), `after ICMP ${error.type}/${error.code}`).toMatchObject({ text: 'out' });
        await server.write('in');
        expect(await client.next()).toMatchObject({ text: 'in' });
      }
      expect(entries()).toEqual(before);
    });
  });

  test('5382-4: six seconds after a SYN that nobody asked for, nothing has been said about it', async () => {
    const drops = () => world.node.drops(DROP_REASON.DROP_NO_FLOW);
    const before = drops();
    world.wire.clear();
    for (const { family } of FAMILIES) unaskedSyn(family, 40_001);
    await pause(SILENCE_MS);
    expect(await world.wire.during(({ network }) => Object.values(CRAFTED()).includes(network.destination), 0)).toEqual(
      [],
    );
    expect(drops() - before).toBe(2);
  }, 20_000);

  test('5382-4a: it is dropped for good, and does not disturb a connection from there', async () => {
    const before = world.node.drops(DROP_REASON.DROP_NO_FLOW);
    world.wire.clear();
    unaskedSyn(4, 40_002);
    const { client, server } = await pair(4);
    await client.write('hello');
    expect(await server.next()).toMatchObject({ text: 'hello' });
    expect(await world.wire.during(({ network }) => network.destination === world.crafted(4))).toEqual([]);
    expect(world.node.drops(DROP_REASON.DROP_NO_FLOW)).toBe(before + 1);
  });
});

const CRAFTED = (): Readonly<Record<Family, string>> => ({ 4: world.crafted(4), 6: world.crafted(6) });

function unaskedSyn(family: Family, port: number): void {
  const outer = world.fromOutside().ip({ source: world.crafted(family), destination: world.nodeAddress(family) });
  world.wire.send(outer.tcp({ source: 4444, destination: port }));
}

const FILTERINGS = [
  { filtering: 'AddressDependent', known: true, stranger: false },
  { filtering: 'EndpointIndependent', known: true, stranger: true },
  { filtering: 'AddressAndPortDependent', known: false, stranger: false },
];

/** A pod's listener and its place outside, which a connection from the same port to s1 has made. */
async function mappedListener(pod: string, family: Family): Promise<{ listener: Listener; at: At }> {
  const sockets = await world.sockets(pod);
  const port = newPort();
  const at = await (await sockets.connect(world.server('s1', family), port)).who();
  return { listener: await sockets.listen(port), at };
}

describe.each(FILTERINGS)('endpoint-independent, with filtering $filtering', ({ filtering, known, stranger }) => {
  beforeAll(() => world.configure({ nat: { blockSize: BLOCK, tcpMapping: 'EndpointIndependent', filtering } }));

  describe.each(FAMILIES)('$name', ({ family }) => {
    test('5382-1: when it is switched on, eight servers see one address and port of a socket', async () => {
      const sockets = await world.sockets('a');
      const port = newPort();
      const seen: At[] = [];
      for (const host of ['s1', 's2'] as const) {
        for (const address of [0, 1] as const) {
          for (const number of [0, 1] as const) {
            seen.push(await (await sockets.connect(world.server(host, family, { address, port: number }), port)).who());
          }
        }
      }
      expect([seen.length, countPlaces(seen)]).toEqual([8, 1]);
    });

    test('5382-3: who may connect to a mapped port is as with UDP', async () => {
      const { listener, at } = await mappedListener('a', family);
      expect(await canConnect('s1', at, listener)).toBe(known);
      expect(await canConnect('third', at, listener)).toBe(stranger);
    });

    test('5382-3a: another filtering is another answer to a stranger', async () => {
      const { listener, at } = await mappedListener('b', family);
      expect(await canConnect('third', at, listener)).toBe(stranger);
    });

    test('5382-3b: UDP has the same filtering', async () => {
      const socket = await (await world.sockets('b')).udp(family);
      const at = await socket.who(world.server('s1', family));
      await (await (await world.sockets('third')).udp(family)).send('unasked', at);
      expect((await socket.during()).length > 0).toBe(stranger);
    });

    if (stranger) {
      test('5382-2: a connection that a remote opens is one like any other', async () => {
        const { listener, at } = await mappedListener('a', family);
        const client = await (await world.sockets('third')).connect(at);
        const { stream, from } = await listener.accept();
        expect(from.address).toBe(world.server('third', family).address);
        await client.write('hello');
        expect(await stream.next()).toMatchObject({ text: 'hello' });
        await stream.end();
        expect(await client.next()).toMatchObject({ ended: true });
      });

      test('5382-8: a pod connects to another by its outside place, and one to itself', async () => {
        for (const pod of ['a', 'b']) {
          const { listener, at } = await mappedListener('b', family);
          const client = await (await world.sockets(pod)).connect(at);
          const { stream } = await listener.accept();
          await client.write('hello');
          expect(await stream.next()).toMatchObject({ text: 'hello' });
          await stream.write('hello yourself');
          expect(await client.next()).toMatchObject({ text: 'hello yourself' });
        }
      });

      test('5382-8a: it is seen with its own outside place, the one that servers see', async () => {
        const { listener, at } = await mappedListener('b', family);
        const sockets = await world.sockets('a');
        const port = newPort();
        const own = await (await sockets.connect(world.server('s2', family), port)).who();
        await sockets.connect(at, port);
        expect((await listener.accept()).from).toEqual(own);
      });
    } else {
      test('5382-4: a SYN to a mapped port from where nobody may come is not answered', async () => {
        const { at } = await mappedListener('a', family);
        world.wire.clear();
        unaskedSyn(family, at.port);
        expect(await world.wire.during(between(at, { address: world.crafted(family), port: 4444 }, 'tcp'))).toEqual([]);
      });
    }
  });
});
