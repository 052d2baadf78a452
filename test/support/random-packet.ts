// Packets that nobody would think of: plausible in each field, and then with some bytes wrong.
import fc from 'fast-check';
import { fragmentsOf } from './fragments.js';
import { ip, type Packet } from './packet.js';
import { type Addresses, type Device, from, NODE_PORT, PORTS, V4, V6 } from './world.js';

export interface RandomPacket {
  readonly device: Device;
  readonly frame: Buffer;
  /** Nothing was made wrong on purpose. */
  readonly valid: boolean;
}

interface Plan {
  readonly device: Device;
  readonly six: boolean;
  readonly source: keyof Addresses;
  readonly destination: keyof Addresses;
  readonly ttl: number;
  readonly kind: 'tcp' | 'udp' | 'udp without checksum' | 'echo' | 'echo reply' | 'error' | 'other' | 'options';
  readonly ports: readonly [number, number];
  readonly flags: string;
  readonly size: number;
  readonly fragment: boolean;
}

const WHO: readonly (keyof Addresses)[] = [
  ...([
    'a',
    'b',
    'nobody',
    'far',
    'unowned',
    'node',
    'otherNode',
    'remote',
    'remote2',
    'vip',
    'gateway',
    'noRoute',
  ] as const),
];
const PORT = fc.oneof(
  fc.constantFrom(0, 53, 80, 443, NODE_PORT, 40_000, 40_256, PORTS.node, PORTS.a + 64, PORTS.a, PORTS.b + 64, 65_535),
  fc.nat(0xffff),
);
const KINDS: readonly Plan['kind'][] = [
  'tcp',
  'udp',
  'udp without checksum',
  'echo',
  'echo reply',
  'error',
  'other',
  'options',
];

const plan = fc.record<Plan>({
  device: fc.constantFrom('a', 'b', 'uplink'),
  six: fc.boolean(),
  // Mostly what the source check lets through.
  source: fc.oneof({ weight: 3, arbitrary: fc.constantFrom<keyof Addresses>('a', 'remote') }, fc.constantFrom(...WHO)),
  destination: fc.constantFrom(...WHO),
  ttl: fc.constantFrom(0, 1, 2, 64, 64, 64, 255),
  kind: fc.constantFrom(...KINDS),
  ports: fc.tuple(PORT, PORT),
  flags: fc.constantFrom('S', 'S', 'SA', 'A', 'FA', 'R', 'RA', 'SF', ''),
  size: fc.oneof(fc.nat(64), fc.constantFrom(1400, 1460, 1472, 1473, 1600)),
  fragment: fc.boolean(),
});

const edits = fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 4 });
const wrong = fc.option(fc.record({ edits, cut: fc.option(fc.nat(120)) }), { freq: 2 });

/** Whole packets and fragments; of three, about one is valid. */
export const randomPacket: fc.Arbitrary<RandomPacket> = fc
  .tuple(plan, plan, wrong, fc.nat(30))
  .map(([one, quoted, how, which]) => {
    const whole = build(one, quoted).bytes();
    const pieces = one.fragment && one.size < 200 ? fragmentsOf(whole, { id: 7, bytes: 24 }) : [whole];
    const frame = pieces[which % pieces.length] ?? whole;
    return { device: one.device, frame: how === null ? frame : spoil(frame, how), valid: how === null };
  });

function build(one: Plan, quoted: Plan): Packet {
  const w = one.six ? V6 : V4;
  const source = one.device !== 'uplink' && one.source === 'remote' ? w[one.device] : w[one.source];
  const outer = from(one.device).ip({ source, destination: w[one.destination], ttl: one.ttl });
  if (one.kind !== 'error') return transport(outer, one);
  const inner = transport(ip({ source: w[quoted.source], destination: w[quoted.destination], ttl: quoted.ttl }), {
    ...quoted,
    kind: 'udp',
  });
  return (
    one.six ? outer.icmp6({ type: 1 + (one.size % 4) }) : outer.icmp4({ type: [3, 11, 12][one.size % 3] ?? 3 })
  ).payload(inner.bytes());
}

function transport(packet: Packet, { kind, ports: [source, destination], flags, size, six }: Plan): Packet {
  switch (kind) {
    case 'tcp':
      return packet.tcp({ source, destination, flags }).payload(size);
    case 'options':
      return (six ? packet.extension(60) : packet).tcp({ source, destination, flags }).payload(size);
    case 'udp without checksum':
      return packet.udp({ source, destination, checksum: 0 }).payload(size);
    case 'echo':
    case 'echo reply':
      return packet.echo({ id: source, reply: kind === 'echo reply' }).payload(size);
    case 'other':
      return packet.payload(size);
    default:
      return packet.udp({ source, destination }).payload(size);
  }
}

/** The kernel's test run wants an Ethernet and an IP header at least. */
const LEAST = 14 + 40;

function spoil(frame: Buffer, how: { edits: readonly (readonly [number, number])[]; cut: number | null }): Buffer {
  const copy = Buffer.concat([
    how.cut === null ? frame : frame.subarray(0, Math.max(LEAST, how.cut)),
    Buffer.alloc(LEAST),
  ]);
  for (const [at, value] of how.edits) copy[at % copy.length] = value;
  return copy.subarray(0, Math.max(LEAST, copy.length - LEAST));
}
