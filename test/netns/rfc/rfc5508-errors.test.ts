// RFC 5508: ICMP errors in both directions, and between pods that use their outside addresses.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON } from '../../../src/datapath/types.gen.js';
import { internetChecksum } from '../../support/checksum.js';
import type { Frames, Heard } from '../../support/frames.js';
import { ip, type Packet } from '../../support/packet.js';
import {
  allErrors,
  datagram,
  ERRORS,
  type IcmpError,
  icmpError,
  packetOf,
  tellFromOutside,
} from '../../support/rfc-errors.js';
import { udpOf } from '../../support/rfc-load.js';
import { FAMILIES, type Family, icmpTo, ofPlace, RfcWorld } from '../../support/rfc-world.js';

let world: RfcWorld;
let frames: Frames;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a', 'b'] });
  frames = await world.frames('a');
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

let lastPort = 10_000;
const REMOTE_PORT = 9999;

type Make = (packet: Packet, port: number) => Packet;
const PROTOCOLS: readonly (readonly [string, Make])[] = [
  ['UDP', (packet, source) => packet.udp({ source, destination: REMOTE_PORT }).payload('quoted')],
  ['TCP', (packet, source) => packet.tcp({ source, destination: REMOTE_PORT })],
  ['echo', (packet, id) => packet.echo({ id }).payload('quoted')],
];
const [UDP] = PROTOCOLS.map(([, make]) => make);

/** A packet of pod a to the crafted remote: as it was sent, and as it was heard outside. */
async function sent(
  family: Family,
  make: Make = UDP as Make,
): Promise<{ inside: Buffer; outside: Heard; port: number }> {
  const port = ++lastPort;
  const [source, destination] = [world.pod('a', family), world.crafted(family)];
  world.wire.clear();
  frames.clear();
  frames.send(make(world.fromPod('a').ip({ source, destination }), port));
  const outside = await world.wire.next(({ network }) => network.destination === destination, 'what was sent');
  return { inside: make(ip({ source, destination }), port).bytes(), outside, port };
}

/** The first bytes of a transport header: two ports, or what an echo has. */
const portsOf = ({ network }: { network: Heard['network'] }): string => network.body.subarray(0, 8).toString('hex');

/** Tells pod a an error about a packet. */
async function told(family: Family, quoted: Buffer, error: IcmpError = ERRORS.hostUnreachable[family]): Promise<Heard> {
  tellFromOutside(world, { family, error, quoted });
  return frames.next(icmpTo(world.pod('a', family), error.type, error.code), 'the error');
}

async function isSilent(family: Family): Promise<boolean> {
  const heard = await frames.during(({ transport }) => transport?.name === 'icmp' && transport.source < 100);
  const answered = await world.wire.during(icmpTo(world.routerAddress(family), ERRORS.hostUnreachable[family].type), 0);
  return heard.length + answered.length === 0;
}

describe.each(FAMILIES)('$name', ({ family }) => {
  test('5508-3: an error with a wrong checksum is forwarded with a wrong one, and its receiver does not believe it', async () => {
    const socket = await udpOf(world, 'a', family);
    await socket.attach({ address: world.crafted(family), port: REMOTE_PORT });
    world.wire.clear();
    await socket.send('to be quoted');
    const heard = await world.wire.next(({ network }) => network.destination === world.crafted(family));
    const outer = world
      .fromOutside()
      .ip({ source: world.routerAddress(family), destination: world.nodeAddress(family) });
    const frame = icmpError(outer, family, ERRORS.portUnreachable[family]).payload(packetOf(heard)).bytes();
    const checksum = 14 + (family === 4 ? 20 : 40) + 2;
    frame.writeUInt16BE(frame.readUInt16BE(checksum) ^ 0x5555, checksum);
    frames.clear();
    world.wire.send(frame);
    const { transport } = await frames.next(icmpTo(world.pod('a', family), ERRORS.portUnreachable[family].type));
    expect(transport?.checksum).toBe('wrong');
    expect(await socket.during()).toEqual([]);
  });

  test('5508-3b: options of the quoted packet are passed over', async () => {
    const { outside, inside } = await sent(family);
    const { source, destination } = outside.network;
    const ports = { source: outside.transport?.source ?? 0, destination: REMOTE_PORT };
    const quoted =
      family === 4
        ? optionsQuote(source, destination, ports)
        : ip({ source, destination }).extension(60, 16).udp(ports).payload('quoted').bytes();
    const heard = await told(family, quoted);
    expect([heard.transport?.checksum, heard.quoted?.network.options]).toEqual(['ok', family === 4 ? 8 : 16]);
    expect(heard.quoted?.network).toMatchObject({ source: world.pod('a', family), destination });
    expect(heard.quoted?.network.body.subarray(0, 4)).toEqual(inside.subarray(family === 4 ? 20 : 40).subarray(0, 4));
  });

  test('5508-3c: a quoted packet with a wrong transport checksum is translated like any other', async () => {
    const { outside, inside } = await sent(family);
    const quoted = Buffer.from(packetOf(outside));
    const checksum = (family === 4 ? 20 : 40) + 6;
    quoted.writeUInt16BE(quoted.readUInt16BE(checksum) ^ 0x1234, checksum);
    const heard = await told(family, quoted);
    expect(heard.quoted?.network.body.subarray(0, 4)).toEqual(inside.subarray(family === 4 ? 20 : 40).subarray(0, 4));
  });

  test('5508-3d: an extension behind the quoted packet stays as it is, and the checksum is right', async () => {
    const { outside } = await sent(family);
    const extension = Buffer.from('20000000000801010003e8ff', 'hex');
    extension.writeUInt16BE(internetChecksum(extension), 2);
    const padded = Buffer.concat([packetOf(outside), Buffer.alloc(128)]).subarray(0, 128);
    // How long the quoted packet is: in 32-bit words, or in 64-bit words (RFC 4884 section 4).
    const rest = family === 4 ? 32 << 16 : 16 << 24;
    const error = { ...ERRORS.timeExceeded[family], rest };
    tellFromOutside(world, { family, error, quoted: Buffer.concat([padded, extension]) });
    const heard = await frames.next(icmpTo(world.pod('a', family), error.type));
    expect(heard.transport?.checksum).toBe('ok');
    expect(heard.transport?.payload.subarray(128)).toEqual(extension);
    expect(heard.quoted?.network.source).toBe(world.pod('a', family));
  });

  test('5508-4: an error about nothing that is mapped ends in silence', async () => {
    const { outside } = await sent(family);
    const quoted = datagram(
      { address: world.nodeAddress(family), port: 50_001 },
      { address: world.crafted(family), port: 1 },
      'x',
    );
    tellFromOutside(world, { family, error: ERRORS.hostUnreachable[family], quoted: quoted.bytes() });
    if (family === 4) {
      const later = Buffer.from(packetOf(outside));
      later.writeUInt16BE(0x00b9, 6); // a later fragment: what follows is no transport header
      later.writeUInt16BE(0, 10);
      later.writeUInt16BE(internetChecksum(later.subarray(0, 20)), 10);
      tellFromOutside(world, { family, error: ERRORS.hostUnreachable[family], quoted: later });
    }
    expect(await isSilent(family)).toBe(true);
  });

  test.each(PROTOCOLS)('5508-4a: the quoted packet becomes what the pod once sent: %s', async (name, make) => {
    const { outside, inside } = await sent(family, make);
    const heard = await told(family, packetOf(outside));
    const whole = heard.transport?.payload ?? Buffer.alloc(0);
    // A hop has been counted on the way, and IPv4's header sums it.
    expect(ignoreHops(whole, family)).toBe(ignoreHops(inside, family));
    expect(heard.transport?.checksum).toBe('ok');
    const short = packetOf(outside).subarray(0, (family === 4 ? 20 : 40) + 8);
    const again = await told(family, short);
    expect(again.quoted?.network.source, `${name}, eight bytes of it`).toBe(world.pod('a', family));
    expect(again.transport?.payload.subarray(-8).subarray(0, 2)).toEqual(
      whole.subarray(short.length - 8, short.length - 6),
    );
    expect(again.transport?.checksum).toBe('ok');
  });

  test('5508-4b: type and code stay, whatever they are', async () => {
    const { outside } = await sent(family);
    const translated = family === 4 ? [3, 11, 12] : [1, 2, 3, 4];
    for (const error of allErrors(family).filter(({ type }) => translated.includes(type))) {
      tellFromOutside(world, { family, error, quoted: packetOf(outside) });
      const heard = await frames.next(
        icmpTo(world.pod('a', family), error.type, error.code),
        `${error.type}/${error.code}`,
      );
      expect(heard.network.body.readUInt32BE(4)).toBe(error.rest ?? 0);
    }
  });

  test('5508-4c: the error goes to the source of the quoted packet', async () => {
    const { outside } = await sent(family);
    const heard = await told(family, packetOf(outside));
    expect([heard.network.destination, heard.quoted?.network.source]).toEqual([
      world.pod('a', family),
      world.pod('a', family),
    ]);
    expect(heard.network.source).toBe(world.routerAddress(family));
  });

  test('5508-5: an error of a pod about nothing that is mapped is dropped', async () => {
    const before = world.node.drops(DROP_REASON.DROP_ICMP_ERROR_NO_FLOW);
    const [source, destination] = [world.pod('a', family), world.crafted(family)];
    const quoted = datagram({ address: destination, port: 1 }, { address: source, port: 50_001 }, 'x').bytes();
    world.wire.clear();
    frames.clear();
    frames.send(
      icmpError(world.fromPod('a').ip({ source, destination }), family, ERRORS.portUnreachable[family]).payload(quoted),
    );
    expect(await world.wire.during(({ network }) => network.destination === destination)).toEqual([]);
    expect(await isSilent(family)).toBe(true);
    expect(world.node.drops(DROP_REASON.DROP_ICMP_ERROR_NO_FLOW)).toBe(before + 1);
  });

  /** A pod's error about a datagram of the remote, as it leaves. */
  async function saidByPod(error: IcmpError): Promise<{ heard: Heard; port: number }> {
    const { outside, port } = await sent(family);
    const remote = { address: world.crafted(family), port: REMOTE_PORT };
    const at = { address: world.nodeAddress(family), port: outside.transport?.source ?? 0 };
    const into = world.fromOutside().ip({ source: remote.address, destination: at.address });
    world.wire.send(into.udp({ source: remote.port, destination: at.port }).payload('to the pod'));
    const arrived = await frames.next(({ transport }) => transport?.payload.toString() === 'to the pod');
    world.wire.clear();
    const out = world.fromPod('a').ip({ source: world.pod('a', family), destination: remote.address });
    frames.send(icmpError(out, family, error).payload(packetOf(arrived)));
    const heard = await world.wire.next(icmpTo(remote.address, error.type, error.code), "the pod's error");
    expect(arrived.transport?.destination).toBe(port);
    return { heard, port: at.port };
  }

  test('5508-5a: the quoted packet becomes what the remote once sent', async () => {
    const { heard, port } = await saidByPod(ERRORS.portUnreachable[family]);
    expect(heard.quoted?.network).toMatchObject({
      source: world.crafted(family),
      destination: world.nodeAddress(family),
    });
    expect(heard.quoted && portsOf(heard.quoted)).toMatch(new RegExp(`^270f${port.toString(16)}`));
    expect(heard.transport?.checksum).toBe('ok');
  });

  test('5508-5b: type and code stay, whatever they are', async () => {
    for (const error of [
      ERRORS.portUnreachable[family],
      ERRORS.timeExceeded[family],
      ERRORS.tooBig[family],
      ERRORS.parameterProblem[family],
    ]) {
      const { heard } = await saidByPod(error);
      expect([heard.transport?.source, heard.transport?.destination]).toEqual([error.type, error.code]);
    }
  });

  test("5508-5c: it leaves from the node's address", async () => {
    const { heard } = await saidByPod(ERRORS.portUnreachable[family]);
    expect(heard.network.source).toBe(world.nodeAddress(family));
  });

  test('5508-6: an error about a query leaves its session as old as it was, and alive', async () => {
    const [, make] = PROTOCOLS[2] ?? PROTOCOLS[0] ?? [];
    const { outside } = await sent(family, make);
    const at = { address: world.nodeAddress(family), port: outside.network.body.readUInt16BE(4) };
    world.age(30, at);
    const seen = () =>
      world
        .flows()
        .filter(([key, flow]) => ofPlace(at)(key, flow))
        .map(([, flow]) => flow.seen);
    const before = seen();
    await told(family, packetOf(outside), ERRORS.portUnreachable[family]);
    // A connection may have the port that is the query's identifier.
    expect(before.length).toBeGreaterThanOrEqual(2);
    expect(seen()).toEqual(before);
  });

  test('5508-7: a pod learns that nobody listens at the outside place of another', async () => {
    const [left, right] = [await udpOf(world, 'a', family), await udpOf(world, 'b', family)];
    const [leftAt, rightAt] = [await left.who(world.server('s1', family)), await right.who(world.server('s1', family))];
    await right.send('opens the way', leftAt);
    await right.close();
    await left.during(50);
    await left.attach(rightAt);
    frames.clear();
    await left.send('is anybody there?');
    expect(await left.next()).toMatchObject({ error: 'ECONNREFUSED' });
  });

  test('5508-7a: the error goes to the source of the packet that it quotes, by the names that the receiver knows', async () => {
    const [left, right] = [await udpOf(world, 'a', family), await udpOf(world, 'b', family)];
    const [leftAt, rightAt] = [await left.who(world.server('s1', family)), await right.who(world.server('s1', family))];
    await right.send('opens the way', leftAt);
    await right.close();
    await left.during(50);
    frames.clear();
    await left.send('is anybody there?', rightAt);
    const { type, code } = ERRORS.portUnreachable[family];
    const heard = await frames.next(icmpTo(world.pod('a', family), type, code));
    expect(heard.network.source).toBe(rightAt.address);
    expect(heard.quoted?.network).toMatchObject({ source: world.pod('a', family), destination: rightAt.address });
    expect(heard.quoted?.network.body.readUInt16BE(0)).toBe(left.port);
    expect(heard.quoted?.network.body.readUInt16BE(2)).toBe(rightAt.port);
  });
});

test('5508-3a: an error that quotes an IP header with a wrong checksum ends in silence', async () => {
  const { outside } = await sent(4);
  const quoted = Buffer.from(packetOf(outside));
  quoted.writeUInt16BE(quoted.readUInt16BE(10) ^ 0x5555, 10);
  tellFromOutside(world, { family: 4, error: ERRORS.hostUnreachable[4], quoted });
  expect(await isSilent(4)).toBe(true);
});

interface Ports {
  readonly source: number;
  readonly destination: number;
}

/** A quoted IPv4 packet with eight bytes of options. */
function optionsQuote(source: string, destination: string, ports: Ports): Buffer {
  const options = Buffer.from('0101010101010100', 'hex');
  return world.fromOutside().ipv4({ source, destination, options }).udp(ports).payload('quoted').bytes().subarray(14);
}

/** A packet as text, without the hop limit and what depends on it. */
function ignoreHops(bytes: Buffer, family: Family): string {
  const copy = Buffer.from(bytes);
  copy[family === 4 ? 8 : 7] = 0;
  if (family === 4) copy.writeUInt16BE(0, 10);
  return copy.toString('hex');
}
