// Every ICMP error about every kind of translation: who gets it reads in it what it once sent, and every checksum is true.
import { describe, expect, it } from 'vitest';
import type { TestDatapath, Verdict } from '../../support/datapath.js';
import { ip, Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { type Addresses, type Device, FAMILIES, from, into, NODE_PORT, PORTS, V4, V6 } from '../../support/world.js';

const CLIENT = 40_000;
const REMOTE = 53;
const BACKEND = 8080;
/** What pod a's and b's port CLIENT, and the node's, are translated to. */
const PORT = { a: PORTS.a + 64, b: PORTS.b + 64, node: PORTS.node + 64 } as const;

type Protocol = 'udp' | 'tcp' | 'echo';
type Family = 'IPv4' | 'IPv6';

interface ErrorType {
  readonly type: number;
  readonly code: number;
  /** The second word: an MTU, a pointer. */
  readonly rest?: number;
}

const codes = (type: number, last: number): ErrorType[] =>
  Array.from({ length: last + 1 }, (_, code) => ({ type, code }));

/** RFC 792, 1122, 1812; RFC 4443, 6550, 8883. */
const TYPES: Readonly<Record<Family, readonly ErrorType[]>> = {
  IPv4: [
    ...codes(3, 15).map((one) => (one.code === 4 ? { ...one, rest: 1280 } : one)),
    ...codes(11, 1),
    ...codes(12, 2).map((one) => ({ ...one, rest: 0x0900_0000 })),
  ],
  IPv6: [
    ...codes(1, 7),
    { type: 2, code: 0, rest: 1280 },
    ...codes(3, 1),
    ...codes(4, 3).map((one) => ({ ...one, rest: 6 })),
  ],
};

interface End {
  readonly address: string;
  /** Of an echo: the identifier at the side that asks, 0 at the other. */
  readonly port: number;
}

/** A packet as somebody sent or got it. */
interface Quoted {
  readonly source: End;
  readonly destination: End;
}

/** An error on its way: who says it of which packet to whom, as it comes in and as it must leave. */
interface Relation {
  readonly name: string;
  readonly from: Device;
  readonly to: Device;
  readonly protocols: readonly Protocol[];
  readonly given: (datapath: TestDatapath, protocol: Protocol) => void;
  readonly said: { readonly by: string; readonly to: string; readonly about: Quoted };
  readonly heard: { readonly by: string; readonly to: string; readonly about: Quoted };
}

const PORTED: readonly Protocol[] = ['udp', 'tcp'];
const ALL: readonly Protocol[] = ['udp', 'tcp', 'echo'];

function relations(w: Addresses): Relation[] {
  return [...egress(w), ...services(w), ...hairpins(w)];
}

const end = (address: string, port: number): End => ({ address, port });
const packet = (source: End, destination: End): Quoted => ({ source, destination });

/** Pod a to outside. */
function egress(w: Addresses): Relation[] {
  const given: Relation['given'] = (datapath, protocol) => open(datapath, 'a', packet(inside, remote), protocol);
  const inside = end(w.a, CLIENT);
  const outside = end(w.node, PORT.a);
  const remote = end(w.remote, REMOTE);
  const inward = { from: 'uplink', to: 'a', protocols: ALL, given } as const;
  return [
    {
      ...inward,
      name: 'SNAT, inward: a router about what the pod sent',
      said: { by: w.router, to: w.node, about: packet(outside, remote) },
      heard: { by: w.router, to: w.a, about: packet(inside, remote) },
    },
    {
      ...inward,
      name: 'SNAT, inward: the remote about what the pod sent',
      said: { by: w.remote, to: w.node, about: packet(outside, remote) },
      heard: { by: w.remote, to: w.a, about: packet(inside, remote) },
    },
    {
      name: 'SNAT, outward: the pod about what it got',
      ...{ from: 'a', to: 'uplink', protocols: ALL, given },
      said: { by: w.a, to: w.remote, about: packet(remote, inside) },
      heard: { by: w.node, to: w.remote, about: packet(remote, outside) },
    },
  ];
}

/** A frontend of the node, reached from outside and from a pod. */
function services(w: Addresses): Relation[] {
  const frontend = end(w.vip, 80);
  const nodePort = end(w.node, NODE_PORT);
  const client = end(w.remote, CLIENT);
  const offer = (datapath: TestDatapath, at: End, backend: string, protocol: Protocol) =>
    datapath.setService([{ ...at, protocol: protocol === 'udp' ? 17 : 6 }], [{ address: backend, port: BACKEND }]);
  const byClient =
    (at: End, backend: string): Relation['given'] =>
    (datapath, protocol) => {
      offer(datapath, at, backend, protocol);
      open(datapath, 'uplink', packet(client, at), protocol);
    };
  const byPod =
    (backend: string): Relation['given'] =>
    (datapath, protocol) => {
      offer(datapath, frontend, backend, protocol);
      open(datapath, 'a', packet(end(w.a, CLIENT), frontend), protocol);
    };
  const here = end(w.b, BACKEND);
  const far = end(w.far, BACKEND);
  const gateway = end(w.node, PORT.node);
  const pod = end(w.a, CLIENT);
  const podOutside = end(w.node, PORT.a);
  return [
    {
      name: 'DNAT, outward: a backend here about what a client sent to a NodePort',
      ...{ from: 'b', to: 'uplink', protocols: PORTED, given: byClient(nodePort, w.b) },
      said: { by: w.b, to: w.remote, about: packet(client, here) },
      heard: { by: w.node, to: w.remote, about: packet(client, nodePort) },
    },
    {
      name: 'DNAT, inward: a router about what a backend here answered by a VIP',
      ...{ from: 'uplink', to: 'b', protocols: PORTED, given: byClient(frontend, w.b) },
      said: { by: w.router, to: w.vip, about: packet(frontend, client) },
      heard: { by: w.router, to: w.b, about: packet(here, client) },
    },
    {
      name: 'service, both sides translated: a router towards a backend elsewhere about what a client sent',
      ...{ from: 'uplink', to: 'uplink', protocols: PORTED, given: byClient(nodePort, w.far) },
      said: { by: w.otherNode, to: w.node, about: packet(gateway, far) },
      heard: { by: w.otherNode, to: w.remote, about: packet(client, nodePort) },
    },
    {
      name: 'service, both sides translated: the client about what a backend elsewhere answered',
      ...{ from: 'uplink', to: 'uplink', protocols: PORTED, given: byClient(nodePort, w.far) },
      said: { by: w.remote, to: w.node, about: packet(nodePort, client) },
      heard: { by: w.node, to: w.far, about: packet(far, gateway) },
    },
    {
      name: 'service, from a pod to a backend elsewhere: that one about what the pod sent',
      ...{ from: 'uplink', to: 'a', protocols: PORTED, given: byPod(w.far) },
      said: { by: w.far, to: w.node, about: packet(podOutside, far) },
      heard: { by: w.vip, to: w.a, about: packet(pod, frontend) },
    },
    {
      name: 'hairpin by a VIP: a backend here about what a pod sent',
      ...{ from: 'b', to: 'a', protocols: PORTED, given: byPod(w.b) },
      said: { by: w.b, to: w.node, about: packet(podOutside, here) },
      heard: { by: w.vip, to: w.a, about: packet(pod, frontend) },
    },
    {
      name: 'hairpin by a VIP: the pod about what a backend here answered',
      ...{ from: 'a', to: 'b', protocols: PORTED, given: byPod(w.b) },
      said: { by: w.a, to: w.vip, about: packet(frontend, pod) },
      heard: { by: w.node, to: w.b, about: packet(here, podOutside) },
    },
  ];
}

/** Pod a to pod b's mapped port, by its outside name. */
function hairpins(w: Addresses): Relation[] {
  const a = end(w.a, CLIENT);
  const b = end(w.b, CLIENT);
  const outsideA = end(w.node, PORT.a);
  const outsideB = end(w.node, PORT.b);
  const given: Relation['given'] = (datapath, protocol) => {
    open(datapath, 'b', packet(b, end(w.remote, REMOTE)), protocol);
    open(datapath, 'a', packet(a, outsideB), protocol);
  };
  return [
    {
      name: "hairpin by a mapped port: b about what a sent to b's outside name",
      ...{ from: 'b', to: 'a', protocols: ['udp'], given },
      said: { by: w.b, to: w.node, about: packet(outsideA, b) },
      heard: { by: w.node, to: w.a, about: packet(a, outsideB) },
    },
    {
      name: 'hairpin by a mapped port: a about what b answered',
      ...{ from: 'a', to: 'b', protocols: ['udp'], given },
      said: { by: w.a, to: w.node, about: packet(outsideB, a) },
      heard: { by: w.node, to: w.b, about: packet(b, outsideA) },
    },
  ];
}

/** The first packet of a flow. */
function open(datapath: TestDatapath, device: Device, { source, destination }: Quoted, protocol: Protocol): void {
  const frame = from(device).ip({ source: source.address, destination: destination.address });
  const ports = { source: source.port, destination: destination.port };
  const first = {
    udp: () => frame.udp(ports),
    tcp: () => frame.tcp(ports),
    echo: () => frame.echo({ id: source.port }),
  };
  expect(datapath.run(device, first[protocol]()).verdict).toBe('redirect');
}

type Quote = (quoted: Quoted, protocol: Protocol) => Buffer;

/** How much of the packet is quoted, and what was in front of its transport header. */
const SHAPES: Readonly<Record<string, Quote>> = {
  'all of it': (quoted, protocol) => transport(network(quoted), quoted, protocol).bytes(),
  'as the RFC wants it, 8 bytes behind the headers': (quoted, protocol) => {
    const header = network(quoted).bytes().length;
    return transport(network(quoted), quoted, protocol)
      .bytes()
      .subarray(0, header + 8);
  },
  '18 bytes behind the headers, which end with the checksum of TCP': (quoted, protocol) => {
    const header = network(quoted).bytes().length;
    return transport(network(quoted), quoted, protocol)
      .bytes()
      .subarray(0, header + 18);
  },
  '17 bytes behind the headers, half a checksum of TCP': (quoted, protocol) => {
    const header = network(quoted).bytes().length;
    const bytes = Buffer.from(
      transport(network(quoted), quoted, protocol)
        .bytes()
        .subarray(0, header + 17),
    );
    // Half of it cannot be translated; nobody can check it either.
    if (protocol === 'tcp') bytes[header + 16] = 0;
    return bytes;
  },
  'with IPv4 options, or IPv6 extension headers': (quoted, protocol) =>
    transport(decorated(quoted), quoted, protocol).bytes(),
  'a first fragment': (quoted, protocol) => transport(firstFragment(quoted), quoted, protocol).bytes(),
};

const isV6 = ({ source }: Quoted): boolean => source.address.includes(':');
const endsOf = ({ source, destination }: Quoted) => ({ source: source.address, destination: destination.address });

function network(quoted: Quoted): Packet {
  return ip({ ...endsOf(quoted), ttl: 3 });
}

function decorated(quoted: Quoted): Packet {
  if (isV6(quoted)) return new Packet([]).ipv6(endsOf(quoted)).extension(0).extension(60, 16);
  // Router alert, and no operation up to a multiple of four.
  return new Packet([]).ipv4({ ...endsOf(quoted), options: Buffer.from('9404000001010101', 'hex') });
}

function firstFragment(quoted: Quoted): Packet {
  if (isV6(quoted)) return new Packet([]).ipv6(endsOf(quoted)).fragment6({ more: true, id: 77 });
  return new Packet([]).ipv4({ ...endsOf(quoted), moreFragments: true, id: 77 });
}

/** With data behind it, of odd length. */
function transport(below: Packet, quoted: Quoted, protocol: Protocol): Packet {
  const { source, destination } = quoted;
  const ports = { source: source.port, destination: destination.port };
  switch (protocol) {
    case 'udp':
      return below.udp(ports).payload(33);
    case 'tcp':
      return below.tcp({ ...ports, flags: 'A', ack: 9 }).payload(33);
    case 'echo':
      return below
        .echo({ id: source.port === REMOTE ? destination.port : source.port, reply: source.port === REMOTE })
        .payload(33);
  }
}

function error(frame: Packet, family: Family, { type, code, rest = 0 }: ErrorType): Packet {
  return family === 'IPv4' ? frame.icmp4({ type, code, rest }) : frame.icmp6({ type, code, rest });
}

const setups = {
  'fast checksums': { config: { fast_checksum: 1, udp_endpoint_independent: 1, filtering: 2 } },
  'checksums by helpers': { config: { fast_checksum: 0, udp_endpoint_independent: 1, filtering: 2 } },
};

describeDatapath({ name: 'icmp_error_matrix', file: import.meta.filename, setups }, (get) => {
  describe.each(FAMILIES)('%s', (family, w) => {
    describe.each(relations(w))('$name', (relation) => {
      const { given, said, heard } = relation;
      const cases = relation.protocols.flatMap((protocol) =>
        Object.keys(SHAPES).map((shape) => [protocol, shape] as const),
      );
      it.each(cases)('%s, quoted %s: every type and code', (protocol, shape) => {
        const quote = SHAPES[shape];
        if (quote === undefined) throw new Error(`no shape '${shape}'`);
        given(get(), protocol);
        for (const type of TYPES[family]) {
          const frame = from(relation.from).ip({ source: said.by, destination: said.to });
          const wanted = relation.to === 'uplink' ? from(relation.from) : into(relation.to);
          const outer = wanted.ip({ source: heard.by, destination: heard.to, ttl: 63 });
          const outcome = get().run(relation.from, error(frame, family, type).payload(quote(said.about, protocol)));
          expectOutcome(outcome, 'redirect', error(outer, family, type).payload(quote(heard.about, protocol)));
        }
        expect(get().drops()).toEqual({});
      });
    });
  });

  describe.each([
    ['IPv4', V4, [4, 5]],
    ['IPv6', V6, [137]],
  ] as const)('%s', (family, w, unforwarded) => {
    const [inward, , outward] = egress(w);
    const say = (relation: Relation | undefined, type: number, quoted: Buffer, behind: Buffer): [Verdict, Buffer] => {
      if (relation === undefined) throw new Error('no relation');
      relation.given(get(), 'tcp');
      const frame = from(relation.from).ip({ source: relation.said.by, destination: relation.said.to });
      const bytes = error(frame, family, { type, code: 0 }).payload(quoted).bytes();
      const { verdict, bytes: out } = get().run(relation.from, Buffer.concat([bytes, behind]));
      return [verdict, out];
    };
    const about = (relation: Relation | undefined, shape: string): Buffer =>
      relation === undefined ? Buffer.alloc(0) : (SHAPES[shape]?.(relation.said.about, 'tcp') ?? Buffer.alloc(0));
    const none = Buffer.alloc(0);

    it.each(unforwarded)(
      'type %i is not forwarded: neither quench nor redirect speaks to anybody behind a translator',
      (type) => {
        expect(say(inward, type, about(inward, 'all of it'), none)[0]).toBe('next');
        expect(say(outward, type, about(outward, 'all of it'), none)[0]).toBe('drop');
      },
    );

    it('a later fragment has no ports: not translated, from the wire it is left to the host', () => {
      const later = (relation: Relation | undefined): Buffer => {
        if (relation === undefined) return none;
        const ends = endsOf(relation.said.about);
        const headers =
          family === 'IPv4'
            ? new Packet([]).ipv4({ ...ends, offset: 1480, id: 77, protocol: 6 })
            : new Packet([]).ipv6(ends).fragment6({ offset: 1448, id: 77, next: 6 });
        return headers.payload(40).bytes();
      };
      const type = family === 'IPv4' ? 3 : 1;
      expect(say(inward, type, later(inward), none)[0]).toBe('next');
      expect(say(outward, type, later(outward), none)[0]).toBe('drop');
      expect(get().drops()).toEqual({ DROP_ICMP_UNSUPPORTED: 1 });
    });

    it('what follows the packet in its frame is not taken for a part of the quote', () => {
      const shape = 'as the RFC wants it, 8 bytes behind the headers';
      const behind = Buffer.alloc(24, 0xa5);
      const type = family === 'IPv4' ? 3 : 1;
      const [, plain] = say(inward, type, about(inward, shape), none);
      const [verdict, padded] = say(inward, type, about(inward, shape), behind);
      expect(verdict).toBe('redirect');
      expect(padded.toString('hex')).toBe(Buffer.concat([plain, behind]).toString('hex'));
    });

    it('a checksum that becomes zero is written as all ones with UDP, which has no zero', () => {
      if (inward === undefined) throw new Error('no relation');
      const shape = SHAPES['all of it'];
      inward.given(get(), 'udp');
      const original = Buffer.from(shape?.(inward.heard.about, 'udp') ?? none);
      const translated = Buffer.from(shape?.(inward.said.about, 'udp') ?? none);
      const at = (family === 'IPv4' ? 20 : 40) + 6;
      // As if the payload were such that the sender's sum came out as all ones.
      const moved = (translated.readUInt16BE(at) + (0xffff - original.readUInt16BE(at))) % 0xffff || 0xffff;
      translated.writeUInt16BE(moved, at);
      original.writeUInt16BE(0xffff, at);
      const type = family === 'IPv4' ? 3 : 1;
      const say4 = (frame: Packet, quoted: Buffer) => error(frame, family, { type, code: 0 }).payload(quoted);
      const outcome = get().run(
        'uplink',
        say4(from('uplink').ip({ source: w.router, destination: w.node }), translated),
      );
      expectOutcome(outcome, 'redirect', say4(into('a').ip({ source: w.router, destination: w.a, ttl: 63 }), original));
    });
  });
});
