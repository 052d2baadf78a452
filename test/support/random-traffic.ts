// Traffic that nobody would think of: packets that follow from what was seen before, some cut to pieces, some spoilt.
import fc from 'fast-check';
import { internetChecksum } from './checksum.js';
import { fragmentsOf } from './fragments.js';
import { textOf } from './model/answers.js';
import { type View, viewOf } from './model/view.js';
import type { Packet } from './packet.js';
import { ETHERNET_BYTES, PROTOCOL } from './packet-layer.js';
import { type Chunk, type ChunkName, SCTP } from './sctp-layer.js';
import { type Addresses, type Device, from, NODE_PORT, PORTS, V4, V6 } from './world.js';

/** A packet that was forwarded: what it was, and what became of it. */
export interface Seen {
  readonly device: Device;
  readonly frame: Buffer;
  readonly to: Device;
  readonly out: Buffer;
}

export interface Sent {
  readonly device: Device;
  readonly frame: Buffer;
}

/** Something new; the same again, or by another port; what answers; an error about it; somebody else to the port it left by. */
export type Kind = 'new' | 'again' | 'more' | 'answer' | 'error' | 'knock';

interface Ends {
  readonly device: Device;
  readonly source: string;
  readonly destination: string;
  readonly ports: readonly [number, number];
  readonly protocol: number;
  readonly isReply: boolean;
}

/** One step of a history; what it refers to is what happened before it. */
export interface Step {
  readonly kind: Kind;
  /** Which of the packets seen before, from the newest. */
  readonly which: number;
  readonly fresh: Fresh;
  readonly shape: Shape;
  readonly error: ErrorShape;
  readonly pieces: Pieces | undefined;
  readonly spoil: Spoil | undefined;
}

interface Fresh {
  readonly device: Device;
  readonly six: boolean;
  readonly source: keyof Addresses;
  readonly destination: keyof Addresses;
  readonly protocol: number;
  readonly ports: readonly [number, number];
  readonly isReply: boolean;
}

/** What does not decide where a packet goes. */
interface Shape {
  readonly ttl: number;
  readonly flags: string;
  readonly seq: number;
  readonly timestamp: number | undefined;
  readonly size: number;
  readonly noChecksum: boolean;
  /** IPv4 options in words, or IPv6 extension headers. */
  readonly options: number;
  readonly icmpType: number | undefined;
}

interface ErrorShape {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  readonly who: keyof Addresses;
  readonly hops: number;
  readonly quoted: number;
}

interface Pieces {
  readonly id: number;
  readonly bytes: number;
  readonly order: 'kept' | 'reversed' | 'first missing';
}

interface Spoil {
  readonly edits: readonly (readonly [number, number])[];
  readonly cut: number | undefined;
  readonly pad: number;
  /** Makes the IPv4 header's checksum right again, so that what is wrong behind it is looked at. */
  readonly repair: boolean;
}

const WHO: readonly (keyof Addresses)[] = [
  ...(['a', 'b', 'nobody', 'far', 'unowned', 'node', 'otherNode', 'router'] as const),
  ...(['remote', 'remote2', 'vip', 'gateway', 'noRoute'] as const),
];
const PORT = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(80, 443, 53, NODE_PORT, 1000, 1001, 1002) },
  { weight: 1, arbitrary: fc.constantFrom(0, 8080, PORTS.node, PORTS.a, PORTS.a + 1, PORTS.b + 1, 65_535) },
  { weight: 1, arbitrary: fc.nat(0xffff) },
);

/** Once in so many times. */
function rarely<T>(times: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: times - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const fresh = fc.record<Fresh>({
  device: fc.constantFrom('a', 'a', 'b', 'uplink'),
  six: fc.boolean(),
  // Mostly what the source check lets through.
  source: fc.oneof({ weight: 5, arbitrary: fc.constant<keyof Addresses>('remote') }, fc.constantFrom(...WHO)),
  destination: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<keyof Addresses>('remote', 'remote2', 'vip', 'node') },
    fc.constantFrom(...WHO),
  ),
  protocol: fc.constantFrom(PROTOCOL.tcp, PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.udp, PROTOCOL.icmp, SCTP, 33),
  ports: fc.tuple(PORT, PORT),
  isReply: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});

const shape = fc.record<Shape>({
  ttl: fc.oneof({ weight: 8, arbitrary: fc.constant(64) }, fc.constantFrom(0, 1, 2, 255)),
  flags: fc.constantFrom('S', 'S', 'S', 'SA', 'A', 'PA', 'FA', 'FA', 'R', 'RA', 'SF', ''),
  seq: fc.nat(0xffffffff),
  timestamp: fc.option(fc.oneof(fc.nat(1000), fc.nat(0xffffffff)), { nil: undefined }),
  size: fc.oneof({ weight: 4, arbitrary: fc.nat(80) }, fc.constantFrom(1400, 1452, 1472, 1473, 1600)),
  noChecksum: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  options: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(1, 2, 3, 4, 5)),
  icmpType: rarely(10, fc.constantFrom(5, 13, 133, 134, 135, 136, 137, 255)),
});

const error = fc.record<ErrorShape>({
  type: fc.nat(5),
  code: fc.nat(15),
  rest: fc.constantFrom(0, 1280, 1400, 0x01000000),
  who: fc.constantFrom(...WHO),
  hops: fc.nat(3),
  quoted: fc.oneof(fc.constant(1000), fc.integer({ min: 0, max: 100 })),
});

const pieces = fc.record<Pieces>({
  id: fc.nat(3),
  bytes: fc.constantFrom(8, 16, 24, 40),
  order: fc.constantFrom('kept', 'kept', 'kept', 'reversed', 'first missing'),
});

const spoil = fc.record<Spoil>({
  edits: fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 3 }),
  cut: rarely(2, fc.nat(120)),
  pad: fc.constantFrom(0, 0, 1, 7, 20),
  repair: fc.boolean(),
});

const KIND = fc.constantFrom<Kind>(
  ...([
    'new',
    'new',
    'again',
    'again',
    'more',
    'more',
    'answer',
    'answer',
    'answer',
    'error',
    'knock',
    'knock',
  ] as const),
);

const randomStep: fc.Arbitrary<Step> = fc.record<Step>({
  kind: KIND,
  which: fc.nat(11),
  fresh,
  shape,
  error,
  pieces: rarely(6, pieces),
  spoil: rarely(5, spoil),
});

/** One pod's connections to one server, opened and closed by few ports: those that were used before are used again. */
const randomConnection: fc.Arbitrary<Step> = fc.record<Step>({
  kind: fc.constantFrom<Kind>('new', 'new', 'again', 'again', 'answer'),
  which: fc.nat(5),
  fresh: fc.record<Fresh>({
    device: fc.constant('a'),
    six: fc.constant(false),
    source: fc.constant('a'),
    destination: fc.constant('remote'),
    protocol: fc.constant(PROTOCOL.tcp),
    ports: fc.tuple(fc.integer({ min: 1000, max: 1011 }), fc.constant(443)),
    isReply: fc.constant(false),
  }),
  shape: fc.record<Shape>({
    ttl: fc.constant(64),
    flags: fc.constantFrom('S', 'S', 'FA', 'FA', 'A', 'SF'),
    seq: fc.nat(0xffffffff),
    timestamp: fc.nat(1000),
    size: fc.nat(20),
    noChecksum: fc.constant(false),
    options: fc.constant(0),
    icmpType: fc.constant(undefined),
  }),
  error,
  pieces: fc.constant(undefined),
  spoil: fc.constant(undefined),
});

/** The same connections, each of which both sides close before the next begins. */
const randomEnded: fc.Arbitrary<Step[]> = randomConnection.map((step) => {
  const say = (kind: Kind, which: number, flags: Shape['flags']): Step => ({
    ...step,
    kind,
    which,
    shape: { ...step.shape, flags },
  });
  return [say('new', 0, 'S'), say('answer', 0, 'FA'), say('again', 1, 'FA')];
});

/** Up to so many steps. */
export function randomHistory(maxLength: number): fc.Arbitrary<Step[]> {
  const size = { minLength: 1, maxLength, size: 'max' } as const;
  return fc.oneof(
    { weight: 5, arbitrary: fc.array(randomStep, size) },
    { weight: 1, arbitrary: fc.array(randomConnection, size) },
    {
      weight: 3,
      arbitrary: fc
        .array(randomEnded, { ...size, maxLength: Math.floor(maxLength / 3) })
        .map((connections) => connections.flat()),
    },
  );
}

/** The frames of a step, in the order in which they arrive. */
export function framesOf(step: Step, seen: readonly Seen[]): Sent[] {
  const before = seen[seen.length - 1 - (step.which % Math.max(1, seen.length))];
  const whole = before === undefined || step.kind === 'new' ? freshPacket(step) : followUp(step, before);
  return cut(whole.frame, step).map((frame) => ({
    device: whole.device,
    frame: step.spoil === undefined ? frame : spoilt(frame, step.spoil),
  }));
}

function freshPacket(step: Step): Sent {
  const { device, six, source, destination, protocol, ports, isReply } = step.fresh;
  const w = six ? V6 : V4;
  const own = device !== 'uplink' && source === 'remote' ? w[device] : w[source];
  return packetOf(step, {
    device,
    source: own,
    destination: w[destination],
    ports,
    protocol: protocol === PROTOCOL.icmp && six ? PROTOCOL.icmp6 : protocol,
    isReply,
  });
}

function followUp(step: Step, before: Seen): Sent {
  if (step.kind === 'error') return errorAbout(step, before);
  const isSame = step.kind === 'again' || step.kind === 'more';
  const [device, view] = isSame ? [before.device, viewOf(before.frame)] : [before.to, viewOf(before.out)];
  const ends = endsOf(device, view);
  if (step.kind === 'again') return packetOf(step, ends);
  if (step.kind === 'more') return packetOf(step, { ...ends, ports: [step.fresh.ports[0], ends.ports[1]] });
  return packetOf(step, step.kind === 'answer' ? turned(ends) : knocking(step, turned(ends)));
}

function endsOf(device: Device, { tuple, icmpKind }: View): Ends {
  const { protocol, source, destination, sourcePort, destinationPort } = tuple;
  const isReply = icmpKind === 'reply';
  const ports = isReply ? ([destinationPort, 0] as const) : ([sourcePort, destinationPort] as const);
  return { device, source: textOf(source), destination: textOf(destination), protocol, ports, isReply };
}

function turned(ends: Ends): Ends {
  const isEcho = ends.protocol === PROTOCOL.icmp || ends.protocol === PROTOCOL.icmp6;
  const [source, destination] = ends.ports;
  return {
    ...ends,
    source: ends.destination,
    destination: ends.source,
    ports: isEcho ? [source, 0] : [destination, source],
    isReply: !ends.isReply,
  };
}

/** To the port that a packet left by, from somebody else. */
function knocking({ fresh: { device, source, ports } }: Step, ends: Ends): Ends {
  const w = ends.source.includes(':') ? V6 : V4;
  return { ...ends, device, source: device === 'uplink' ? w[source] : w[device], ports: [ports[0], ends.ports[1]] };
}

function packetOf({ shape: given }: Step, ends: Ends): Sent {
  const { device, source, destination } = ends;
  const six = source.includes(':');
  const outer = six
    ? extended(from(device).ipv6({ source, destination, hopLimit: given.ttl }), given.options)
    : from(device).ipv4({ source, destination, ttl: given.ttl, options: Buffer.alloc(given.options * 4, 1) });
  const whole = transport(outer, given, ends);
  // What follows the chunks of SCTP would be another one.
  return { device, frame: (ends.protocol === SCTP ? whole : whole.payload(given.size)).bytes() };
}

function extended(packet: Packet, count: number): Packet {
  return [0, 60, 43, 60, 60]
    .slice(0, count)
    .reduce((one, protocol, index) => one.extension(protocol, 8 + index * 8), packet);
}

function transport(packet: Packet, given: Shape, { protocol, ports: [source, destination], isReply }: Ends): Packet {
  const checksum = given.noChecksum ? { checksum: 0 } : {};
  const type = given.icmpType;
  switch (protocol) {
    case PROTOCOL.tcp:
      return packet.tcp({ source, destination, flags: given.flags, seq: given.seq, options: tcpOptions(given) });
    case PROTOCOL.udp:
      return packet.udp({ source, destination, ...checksum });
    case PROTOCOL.icmp:
      return type === undefined ? packet.echo({ id: source, reply: isReply }) : packet.icmp4({ type });
    case PROTOCOL.icmp6:
      return type === undefined ? packet.echo({ id: source, reply: isReply }) : packet.icmp6({ type });
    case SCTP:
      return packet.sctp({ source, destination, tag: given.seq, chunks: chunksOf(given), ...checksum });
    default:
      return packet;
  }
}

/** What says in SCTP what flags say in TCP. */
function chunksOf({ flags, size }: Shape): Chunk[] {
  const value = Buffer.alloc(16 + size, size);
  const names: Readonly<Record<string, readonly ChunkName[]>> = {
    S: ['INIT'],
    SA: ['INIT ACK'],
    A: ['SACK'],
    PA: ['SACK', 'DATA'],
    FA: ['SHUTDOWN', 'SACK'],
    R: ['SACK', 'ABORT'],
    RA: ['SHUTDOWN COMPLETE'],
    SF: ['INIT', 'DATA'],
  };
  return (names[flags] ?? ['HEARTBEAT']).map((type) => ({ type, value }));
}

/** At every place that RFC 9293 allows: behind so many NOPs. */
function tcpOptions({ timestamp, size }: Shape): Buffer {
  if (timestamp === undefined) return Buffer.alloc((size % 3) * 4, 1);
  const option = Buffer.from('080a0000000000000007', 'hex');
  option.writeUInt32BE(timestamp, 2);
  const nops = size % 4;
  return Buffer.concat([Buffer.alloc(nops, 1), option, Buffer.alloc((6 - nops) % 4, 1)]);
}

/** From whoever, where the packet went or from where it came; about it as it left, some hops later. */
function errorAbout({ error: how, shape: given }: Step, { to, out }: Seen): Sent {
  const view = viewOf(out);
  const ends = endsOf(to, view);
  const six = ends.source.includes(':');
  const w = six ? V6 : V4;
  const source = to === 'uplink' ? w[how.who] : how.code < 12 ? ends.destination : w[how.who];
  const quote = Buffer.from(view.bytes);
  if (six) quote.writeUInt8(Math.max(0, view.hops - how.hops), 7);
  const quoted = quote.subarray(0, how.quoted);
  const outer = from(to).ip({ source, destination: ends.source, ttl: given.ttl });
  const fields = { code: how.code, rest: how.rest };
  const message = six
    ? outer.icmp6({ ...fields, type: how.type })
    : outer.icmp4({ ...fields, type: [3, 3, 3, 11, 12, 4][how.type] ?? 3 });
  return { device: to, frame: message.payload(quoted).bytes() };
}

function cut(frame: Buffer, { pieces: how, shape: given }: Step): Buffer[] {
  if (how === undefined || given.options > 0) return [frame];
  const { id, bytes, order } = how;
  const all = fragmentsOf(frame, { id, bytes: given.size > 200 ? 1200 : bytes }).slice(0, 8);
  if (order === 'first missing') return all.slice(1);
  return order === 'reversed' ? all.reverse() : all;
}

/** The kernel's test run wants an Ethernet and an IP header. */
function leastBytes(frame: Buffer): number {
  return ETHERNET_BYTES + (frame.readUInt16BE(12) === 0x0800 ? 20 : 40);
}

function spoilt(frame: Buffer, { edits, cut: keep, pad, repair }: Spoil): Buffer {
  const least = leastBytes(frame);
  const kept = keep === undefined ? frame : frame.subarray(0, Math.max(least, keep));
  const copy = Buffer.concat([kept, Buffer.alloc(pad, 0xa5)]);
  // The frame's own header says which device it is for.
  for (const [at, value] of edits) copy[ETHERNET_BYTES + (at % (copy.length - ETHERNET_BYTES))] = value;
  if (repair && frame.readUInt16BE(12) === 0x0800) {
    const header = copy.subarray(ETHERNET_BYTES, ETHERNET_BYTES + 20);
    header.writeUInt16BE(0, 10);
    header.writeUInt16BE(internetChecksum(header), 10);
  }
  return copy;
}
