// RFC 7857: updates of the requirements of UDP, TCP and ICMP; and how long TCP connections are kept (RFC 5382 REQ-5).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAPPING_SIDE } from '../../../src/datapath/types.gen.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import type { Heard } from '../../support/frames.js';
import { ERRORS, icmpError, packetOf } from '../../support/rfc-errors.js';
import { arrives, countPlaces, range, udpOf } from '../../support/rfc-load.js';
import { between, FAMILIES, type Family, ofMapping, ofPlace, RfcWorld } from '../../support/rfc-world.js';
import type { At } from '../../support/sockets.js';

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a', 'b'] });
  await world.silence('a');
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

let lastPort = 20_000;

/** A connection of pod a to a remote, both made segment by segment. */
interface Connection {
  readonly family: Family;
  readonly inside: At;
  readonly remote: At;
  /** The pod's place outside. */
  readonly at: At;
}

type Flags = 'S' | 'SA' | 'A' | 'FA' | 'R' | 'RA';

async function bySyn(family: Family): Promise<Connection> {
  const inside = { address: world.pod('a', family), port: ++lastPort };
  const remote = { address: world.silent(family), port: 443 };
  world.wire.clear();
  const outer = world.fromPod('a').ip({ source: inside.address, destination: remote.address });
  (await world.frames('a')).send(outer.tcp({ source: inside.port, destination: remote.port, seq: 1000 }));
  const { network, transport } = await world.wire.next(
    (heard) => heard.network.destination === remote.address,
    'the SYN',
  );
  return { family, inside, remote, at: { address: network.source, port: transport?.source ?? 0 } };
}

/** A segment of the pod; resolves when it was heard outside. */
async function say({ inside, remote, at }: Connection, flags: Flags, seq = 1001): Promise<Heard> {
  const outer = world.fromPod('a').ip({ source: inside.address, destination: remote.address });
  world.wire.clear();
  (await world.frames('a')).send(outer.tcp({ source: inside.port, destination: remote.port, flags, seq, ack: 5001 }));
  return world.wire.next(between(at, remote, 'tcp'), `${flags} of the pod`);
}

/** A segment of the remote; whether it was heard in the pod. */
async function hear({ inside, remote, at }: Connection, flags: Flags, seq = 5001): Promise<boolean> {
  const frames = await world.frames('a');
  frames.clear();
  const outer = world.fromOutside().ip({ source: remote.address, destination: at.address });
  world.wire.send(outer.tcp({ source: remote.port, destination: at.port, flags, seq, ack: 1001 }));
  return (await frames.during(between(remote, inside, 'tcp'))).length > 0;
}

async function established(family: Family): Promise<Connection> {
  const connection = await bySyn(family);
  expect(await hear(connection, 'SA', 5000)).toBe(true);
  await say(connection, 'A');
  return connection;
}

async function halfClosed(family: Family): Promise<Connection> {
  const connection = await established(family);
  await say(connection, 'FA');
  return connection;
}

async function closing(family: Family): Promise<Connection> {
  const connection = await halfClosed(family);
  expect(await hear(connection, 'FA')).toBe(true);
  return connection;
}

async function resetByRemote(family: Family): Promise<Connection> {
  const connection = await established(family);
  expect(await hear(connection, 'RA')).toBe(true);
  return connection;
}

/** Whether connections of both families that are so old still have their entries after a walk over the table. */
async function areKept(
  ages: readonly (readonly [(family: Family) => Promise<Connection>, number])[],
): Promise<boolean[][]> {
  const all: { connection: Connection; seconds: number }[] = [];
  for (const [make, seconds] of ages)
    for (const { family } of FAMILIES) all.push({ connection: await make(family), seconds });
  for (const { connection, seconds } of all) world.age(seconds, connection.at);
  await world.sweep();
  const flows = world.flows();
  const kept = all.map(({ connection: { at, remote } }) => {
    return flows.some(([key, flow]) => ofPlace(at)(key, flow) && key.source === remote.address);
  });
  return ages.map((_, index) => kept.slice(index * 2, index * 2 + 2));
}

const [YES, NO] = [
  [true, true],
  [false, false],
];

/** A limit less what the walk may be away. */
const just = (seconds: number): number => seconds - 7;

describe('by default', () => {
  test('5382-5: established for 2 hours and 4 minutes, opening and closing for 4 minutes', async () => {
    const ages = [
      [established, just(7440)],
      [bySyn, just(240)],
      [closing, just(240)],
    ] as const;
    expect(await areKept(ages)).toEqual([YES, YES, YES]);
    expect(DEFAULT_TIMEOUTS.tcpEstablished).toBeGreaterThanOrEqual(7440);
  });

  test('7857-2.1a: opening and closing connections go after four minutes', async () => {
    expect(
      await areKept([
        [bySyn, just(240)],
        [bySyn, 241],
        [closing, just(240)],
        [closing, 241],
      ]),
    ).toEqual([YES, NO, YES, NO]);
    const { tcpOpening, tcpClosing } = DEFAULT_TIMEOUTS;
    expect(Math.min(tcpOpening, tcpClosing)).toBeGreaterThanOrEqual(240);
  });

  test('7857-2.1b: a connection that one side has closed is kept like an open one', async () => {
    expect(await areKept([[halfClosed, just(7440)]])).toEqual([YES]);
  });

  test('7857-2.2a: a connection that was reset is kept for four minutes, and then removed', async () => {
    expect(
      await areKept([
        [resetByRemote, just(240)],
        [resetByRemote, 241],
      ]),
    ).toEqual([YES, NO]);
  });
});

describe.each(FAMILIES)('$name', ({ family }) => {
  test('7857-2.2: a reset passes in both directions', async () => {
    expect(await hear(await established(family), 'R')).toBe(true);
    const { network } = await say(await established(family), 'R');
    expect(network.source).toBe(world.nodeAddress(family));
  });

  test('7857-3: connections to different remotes share outside ports', async () => {
    const frames = await world.frames('a');
    const address = world.crafted(family);
    const outer = world.fromPod('a').ip({ source: world.pod('a', family), destination: address });
    world.wire.clear();
    // A block has 256 ports.
    for (const destination of [2001, 2002])
      frames.send(...range(40_000, 200).map((source) => outer.tcp({ source, destination })));
    const heard = () => world.wire.during(({ network }) => network.destination === address, 0);
    await expect.poll(async () => (await heard()).length).toBe(400);
    expect(
      countPlaces(
        (await heard()).map(({ network, transport }) => ({ address: network.source, port: transport?.source ?? 0 })),
      ),
    ).toBeLessThanOrEqual(256);
  });

  test('7857-4: UDP, TCP and echo of a pod leave with one address', async () => {
    const udp = await (await udpOf(world, 'a', family)).who(world.server('s1', family));
    const tcp = await (await (await world.sockets('a')).connect(world.server('s2', family))).who();
    world.wire.clear();
    await world.node.exec('a', ['ping', '-c', '1', '-W', '1', world.server('third', family).address]);
    const echo = await world.wire.next(({ network }) => network.destination === world.server('third', family).address);
    expect([tcp.address, echo.network.source]).toEqual([udp.address, udp.address]);
  });

  test('7857-7: a datagram that the filtering refuses does not refresh the mapping', async () => {
    const socket = await udpOf(world, 'a', family);
    const at = await socket.who(world.server('s1', family));
    world.age(100, at);
    const before = lifetimes(at);
    expect(await arrives(world, { from: 'third', to: at, socket })).toBe(false);
    expect(before.length).toBeGreaterThan(0);
    expect(lifetimes(at)).toEqual(before);
  });

  test("7857-7.1: a pod's ICMP error does not refresh the mapping", async () => {
    const frames = await world.frames('a');
    const remote = { address: world.crafted(family), port: 7070 };
    const socket = await udpOf(world, 'a', family);
    world.wire.clear();
    await socket.send('hello', remote);
    const { transport } = await world.wire.next(({ network }) => network.destination === remote.address);
    const at = { address: world.nodeAddress(family), port: transport?.source ?? 0 };
    frames.clear();
    world.wire.send(
      world
        .fromOutside()
        .ip({ source: remote.address, destination: at.address })
        .udp({ source: 7070, destination: at.port })
        .payload('in'),
    );
    const arrived = await frames.next(({ network }) => network.source === remote.address);
    world.age(100, at);
    const before = lifetimes(at);
    const outer = world.fromPod('a').ip({ source: world.pod('a', family), destination: remote.address });
    frames.send(icmpError(outer, family, ERRORS.portUnreachable[family]).payload(packetOf(arrived)));
    await world.wire.next(
      ({ transport: said }) => said?.name === 'icmp' && said.source === ERRORS.portUnreachable[family].type,
    );
    expect(lifetimes(at)).toEqual(before);
  });

  test('7857-8: an even port leaves by an odd one when its own is taken', async () => {
    const ports = range(2000, 16).flatMap((port) => [port, port + 256]);
    const frames = await world.frames('b');
    const address = world.crafted(family);
    world.wire.clear();
    frames.send(
      ...ports.map((source) =>
        world
          .fromPod('b')
          .ip({ source: world.pod('b', family), destination: address })
          .udp({ source, destination: 1 }),
      ),
    );
    const heard = () => world.wire.during(({ network }) => network.destination === address, 0);
    await expect.poll(async () => (await heard()).length).toBe(ports.length);
    expect(
      (await heard()).some(({ transport }, index) => (transport?.source ?? 0) % 2 !== (ports[index] ?? 0) % 2),
    ).toBe(true);
  });

  test('7857-11: nothing is left of a query but its session', async () => {
    await world.node.exec('a', ['ping', '-c', '1', '-W', '1', world.server('s1', family).address]);
    expect(world.flows().some(([key]) => [1, 58].includes(key.protocol))).toBe(true);
    expect(world.mappings().filter(([key]) => [1, 58].includes(key.protocol))).toEqual([]);
  });
});

test('7857-10: identifications of fragments stay those of their pods', async () => {
  const address = world.crafted(4);
  world.wire.clear();
  for (const pod of ['a', 'b']) {
    const outer = world
      .fromPod(pod)
      .ipv4({ source: world.pod(pod, 4), destination: address, id: 4242, moreFragments: true });
    (await world.frames(pod)).send(outer.udp({ source: 4242, destination: 9, length: 100 }).payload(16));
  }
  const heard = await world.wire.during(({ network }) => network.destination === address);
  expect(heard.map(({ network }) => [network.source, network.fragment])).toEqual([
    [world.nodeAddress(4), 'id 4242 MF'],
    [world.nodeAddress(4), 'id 4242 MF'],
  ]);
});

/** When the entries of an outside place end: flows and mappings. */
function lifetimes(at: At): string[] {
  const flows = world.flows().filter(([key, flow]) => ofPlace(at)(key, flow));
  const mappings = world.mappings().filter(([key, value]) => ofMapping(at)(key, value));
  return [
    ...mappings.map(([key, { expires }]) => `mapping ${key.side} ${expires}`),
    ...flows.map(([{ source, source_port }, { seen }]) => `flow ${source} ${source_port} ${seen}`),
  ].sort();
}

describe.each(FAMILIES)('endpoint-independent for both protocols, $name', ({ family }) => {
  beforeAll(() => world.configure({ nat: { tcpMapping: 'EndpointIndependent', filtering: 'EndpointIndependent' } }));

  test('7857-5: the mapping of a UDP port is not that of the same TCP port', async () => {
    const port = ++lastPort;
    const udp = await (await udpOf(world, 'a', family, port)).who(world.server('s1', family));
    const tcp = await (await (await world.sockets('a')).connect(world.server('s1', family), port)).who();
    const outside = world
      .mappings()
      .filter(([{ side }, value]) => side === MAPPING_SIDE.MAPPING_OUTSIDE && value.port === port);
    const found = outside.filter(([, { address }]) => address === world.pod('a', family));
    expect(found.map(([key]) => [key.protocol, key.port]).sort((x, y) => (x[0] ?? 0) - (y[0] ?? 0))).toEqual([
      [6, tcp.port],
      [17, udp.port],
    ]);
  });

  test("7857-6: a TCP segment to a UDP socket's place is not let in", async () => {
    const frames = await world.frames('a');
    const socket = await udpOf(world, 'a', family);
    const at = await socket.who(world.server('s1', family));
    expect(await arrives(world, { from: 'third', to: at, socket })).toBe(true);
    frames.clear();
    world.wire.send(
      world
        .fromOutside()
        .ip({ source: world.crafted(family), destination: at.address })
        .tcp({ source: 1, destination: at.port }),
    );
    expect(await frames.during(({ network }) => network.source === world.crafted(family))).toEqual([]);
  });

  test("7857-7.1: a pod's reset does not refresh the mapping", async () => {
    const connection = await established(family);
    world.age(100, connection.at);
    const mappings = () => lifetimes(connection.at).filter((line) => line.startsWith('mapping'));
    const before = mappings();
    await say(connection, 'RA');
    expect(before.length).toBeGreaterThan(0);
    expect(mappings()).toEqual(before);
  });
});

describe('configured', () => {
  beforeAll(() => world.configure({ timeouts: { tcpOpening: 60, tcpEstablished: 600, tcpClosing: 30 } }));

  test('5382-5a: connections are kept as long as the configuration says', async () => {
    expect(
      await areKept([
        [established, just(600)],
        [established, 601],
      ]),
    ).toEqual([YES, NO]);
  });

  test('7857-2.1: opening and closing ones have a time each', async () => {
    expect(
      await areKept([
        [bySyn, just(60)],
        [bySyn, 61],
        [closing, just(30)],
        [closing, 31],
      ]),
    ).toEqual([YES, NO, YES, NO]);
  });
});
