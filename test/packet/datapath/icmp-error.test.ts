// ICMP errors about translated packets, in both directions: who hears them recognises what it once sent.

import type { TestDatapath } from '../../support/datapath.js';
import { ip, Packet } from '../../support/packet.js';
import { describeDatapath, type PacketCase, testCases } from '../../support/packet-case.js';
import { type Addresses, type Device, FAMILIES, from, into, NODE_PORT, PORTS, V4 } from '../../support/world.js';

const CLIENT = 40_000;
const PORT = PORTS.a + 64;
const NODE_BLOCK_PORT = PORTS.node + 64;

interface Error {
  readonly kind: keyof typeof TYPES;
  readonly mtu?: number;
}

const TYPES = {
  unreachable: [
    [3, 1],
    [1, 3],
  ],
  port: [
    [3, 3],
    [1, 4],
  ],
  big: [
    [3, 4],
    [2, 0],
  ],
  time: [
    [11, 0],
    [3, 0],
  ],
  parameter: [
    [12, 0],
    [4, 0],
  ],
} as const;

/** An error about the packet `quoted`, which has no frame. */
function errorAbout(frame: Packet, quoted: Buffer, { kind, mtu = 0 }: Error): Packet {
  const ipv4 = frame.bytes().readUInt16BE(12) === 0x0800;
  const [type, code] = TYPES[kind][ipv4 ? 0 : 1];
  return (ipv4 ? frame.icmp4({ type, code, rest: mtu }) : frame.icmp6({ type, code, rest: mtu })).payload(quoted);
}

interface Told {
  readonly name: string;
  readonly from: Device;
  readonly to: Device;
  readonly given: (datapath: TestDatapath) => void;
  /** Outer source and destination, and the quoted packet, before and after. */
  readonly before: readonly [source: string, destination: string, quoted: Packet];
  readonly after: readonly [source: string, destination: string, quoted: Packet];
}

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'icmp_error', file: import.meta.filename, setups }, (get) => {
  for (const [family, w] of FAMILIES) {
    for (const told of [...aboutEgress(w), ...aboutServices(w)]) {
      const cases = [
        ...(['unreachable', 'port', 'time', 'parameter'] as const).map((kind) => caseOf(family, told, { kind })),
        caseOf(family, told, { kind: 'big', mtu: 1280 }),
      ];
      testCases(get, cases);
      testCases(get, cases.slice(0, 1), { summed: true });
    }
    testCases(get, refusals(family, w));
  }
});

function caseOf(family: string, told: Told, error: Error): PacketCase {
  const frame = told.to === 'uplink' ? from(told.from) : into(told.to);
  const [source, destination, quoted] = told.before;
  const [newSource, newDestination, newQuoted] = told.after;
  return {
    name: `${family === 'IPv6' ? 'D8: ' : ''}${family}: ${error.kind}, ${told.name}`,
    from: told.from,
    given: told.given,
    in: errorAbout(from(told.from).ip({ source, destination }), quoted.bytes(), error),
    verdict: 'redirect',
    out: errorAbout(frame.ip({ source: newSource, destination: newDestination, ttl: 63 }), newQuoted.bytes(), error),
    flows: null,
  };
}

type Make = (packet: Packet, sourcePort: number, destinationPort: number) => Packet;

/** The transports, and what each one's quote looks like beyond its first 8 bytes. */
const MAKES: readonly [string, Make][] = [
  ['UDP', (packet, source, destination) => packet.udp({ source, destination }).payload('payload')],
  [
    'UDP without a checksum',
    (packet, source, destination) => packet.udp({ source, destination, checksum: 0 }).payload(20),
  ],
];

/** Only the first 8 bytes of a TCP header: its checksum is not there. */
function tcpStart(
  ends: { source: string; destination: string; ttl: number },
  ports: readonly [number, number],
): Packet {
  const bytes = ip(ends).tcp({ source: ports[0], destination: ports[1] }).bytes();
  return new Packet([]).payload(bytes.subarray(0, bytes.length - 12));
}

/** About what pod a sent to outside, and about what came back to it. */
function aboutEgress(w: Addresses): Told[] {
  const sent = { source: w.a, destination: w.remote, ttl: 3 };
  const left = { source: w.node, destination: w.remote, ttl: 3 };
  const came = { source: w.remote, destination: w.node, ttl: 3 };
  const arrived = { source: w.remote, destination: w.a, ttl: 3 };
  const udp = (datapath: TestDatapath) =>
    void datapath.run(
      'a',
      from('a').ip({ source: w.a, destination: w.remote }).udp({ source: CLIENT, destination: 53 }),
    );
  const tcp = (datapath: TestDatapath) =>
    void datapath.run(
      'a',
      from('a').ip({ source: w.a, destination: w.remote }).tcp({ source: CLIENT, destination: 53 }),
    );
  const echo = (datapath: TestDatapath) =>
    void datapath.run('a', from('a').ip({ source: w.a, destination: w.remote }).echo({ id: 64 }));
  const inward = (name: string, given: Told['given'], quotes: readonly [Packet, Packet]): Told[] =>
    (['router', 'remote'] as const).map((who) => ({
      name: `from the ${who} about ${name} that the pod sent`,
      ...{ from: 'uplink', to: 'a', given },
      before: [w[who], w.node, quotes[0]],
      after: [w[who], w.a, quotes[1]],
    }));
  const outward = (name: string, given: Told['given'], quotes: readonly [Packet, Packet]): Told => ({
    name: `from the pod about ${name} that it got`,
    ...{ from: 'a', to: 'uplink', given },
    before: [w.a, w.remote, quotes[0]],
    after: [w.node, w.remote, quotes[1]],
  });
  return [
    ...MAKES.flatMap(([name, make]) => [
      ...inward(name, udp, [make(ip(left), PORT, 53), make(ip(sent), CLIENT, 53)]),
      outward(name, udp, [make(ip(arrived), 53, CLIENT), make(ip(came), 53, PORT)]),
    ]),
    ...inward('TCP', tcp, [tcpStart(left, [PORT, 53]), tcpStart(sent, [CLIENT, 53])]),
    outward('TCP', tcp, [tcpStart(arrived, [53, CLIENT]), tcpStart(came, [53, PORT])]),
    ...inward('an echo request', echo, [
      ip(left).echo({ id: PORT }).payload(40),
      ip(sent).echo({ id: 64 }).payload(40),
    ]),
    outward('an echo reply', echo, [
      ip(arrived).echo({ id: 64, reply: true }).payload(40),
      ip(came).echo({ id: PORT, reply: true }).payload(40),
    ]),
  ];
}

/** About packets whose destination was translated, too: the backend is known by its frontend's name. */
function aboutServices(w: Addresses): Told[] {
  const service = (backend: string) => (datapath: TestDatapath) => {
    for (const frontend of [
      { address: w.vip, port: 80 },
      { address: w.node, port: NODE_PORT },
    ]) {
      datapath.setService([{ ...frontend, protocol: 17 }], [{ address: backend, port: 8080 }]);
    }
  };
  const outsider = (backend: string) => (datapath: TestDatapath) => {
    service(backend)(datapath);
    datapath.run(
      'uplink',
      from('uplink').ip({ source: w.remote, destination: w.node }).udp({ source: CLIENT, destination: NODE_PORT }),
    );
  };
  const pod = (backend: string) => (datapath: TestDatapath) => {
    service(backend)(datapath);
    datapath.run('a', from('a').ip({ source: w.a, destination: w.vip }).udp({ source: CLIENT, destination: 80 }));
  };
  const udp = (ends: readonly [string, string], ports: readonly [number, number]) =>
    ip({ source: ends[0], destination: ends[1], ttl: 9 })
      .udp({ source: ports[0], destination: ports[1] })
      .payload('query');
  return [
    {
      name: 'a backend here about what an outsider sent',
      ...{ from: 'b', to: 'uplink', given: outsider(w.b) },
      before: [w.b, w.remote, udp([w.remote, w.b], [CLIENT, 8080])],
      after: [w.node, w.remote, udp([w.remote, w.node], [CLIENT, NODE_PORT])],
    },
    {
      name: 'a backend elsewhere about what an outsider sent',
      ...{ from: 'uplink', to: 'uplink', given: outsider(w.far) },
      before: [w.far, w.node, udp([w.node, w.far], [NODE_BLOCK_PORT, 8080])],
      after: [w.node, w.remote, udp([w.remote, w.node], [CLIENT, NODE_PORT])],
    },
    {
      name: 'a router towards a backend about what an outsider sent',
      ...{ from: 'uplink', to: 'uplink', given: outsider(w.far) },
      before: [w.otherNode, w.node, udp([w.node, w.far], [NODE_BLOCK_PORT, 8080])],
      after: [w.otherNode, w.remote, udp([w.remote, w.node], [CLIENT, NODE_PORT])],
    },
    {
      name: 'a router towards the outsider about what a backend answered',
      ...{ from: 'uplink', to: 'b', given: outsider(w.b) },
      before: [w.router, w.node, udp([w.node, w.remote], [NODE_PORT, CLIENT])],
      after: [w.router, w.b, udp([w.b, w.remote], [8080, CLIENT])],
    },
    {
      name: 'a backend here about what a pod sent',
      ...{ from: 'b', to: 'a', given: pod(w.b) },
      before: [w.b, w.node, udp([w.node, w.b], [PORT, 8080])],
      after: [w.vip, w.a, udp([w.a, w.vip], [CLIENT, 80])],
    },
    {
      name: 'a backend elsewhere about what a pod sent',
      ...{ from: 'uplink', to: 'a', given: pod(w.far) },
      before: [w.far, w.node, udp([w.node, w.far], [PORT, 8080])],
      after: [w.vip, w.a, udp([w.a, w.vip], [CLIENT, 80])],
    },
    {
      name: 'a pod about what a backend here answered',
      ...{ from: 'a', to: 'b', given: pod(w.b) },
      before: [w.a, w.vip, udp([w.vip, w.a], [80, CLIENT])],
      after: [w.node, w.b, udp([w.b, w.node], [8080, PORT])],
    },
  ];
}

function refusals(family: string, w: Addresses): PacketCase[] {
  const given = (datapath: TestDatapath) =>
    void datapath.run(
      'a',
      from('a').ip({ source: w.a, destination: w.remote }).udp({ source: CLIENT, destination: 53 }),
    );
  const quoted = ip({ source: w.node, destination: w.remote, ttl: 3 }).udp({ source: PORT, destination: 53 });
  const strange = ip({ source: w.node, destination: w.remote }).udp({ source: PORT + 1, destination: 53 });
  const arrived = ip({ source: w.remote, destination: w.a }).udp({ source: 53, destination: CLIENT });
  const outer = (ttl = 64) => from('uplink').ip({ source: w.router, destination: w.node, ttl });
  const error = (packet: Buffer, frame = outer()) => errorAbout(frame, packet, { kind: 'unreachable' });
  const dropped = { verdict: 'drop', flows: null } as const;
  const header = w === V4 ? 20 : 40;
  const cases: PacketCase[] = [
    {
      name: "about no flow, from the wire, is the host's",
      from: 'uplink',
      in: error(strange.bytes()),
      verdict: 'next',
    },
    {
      name: 'about no flow, from a pod, goes nowhere',
      from: 'a',
      in: error(strange.bytes(), from('a').ip({ source: w.a, destination: w.remote })),
      ...dropped,
      drops: { DROP_ICMP_ERROR_NO_FLOW: 1 },
    },
    {
      name: "about another pod's flow is not believed",
      from: 'b',
      given,
      in: error(arrived.bytes(), from('b').ip({ source: w.b, destination: w.remote })),
      ...dropped,
      drops: { DROP_WRONG_DEVICE: 1 },
    },
    {
      name: "from another's address is not believed",
      from: 'b',
      given,
      in: error(arrived.bytes(), from('b').ip({ source: w.a, destination: w.remote })),
      ...dropped,
      drops: { DROP_SPOOFED: 1 },
    },
    {
      name: 'whose hops are used up',
      from: 'uplink',
      given,
      in: error(quoted.bytes(), outer(1)),
      ...dropped,
      drops: { DROP_TTL_EXCEEDED: 1 },
    },
    ...[0, 1, header - 1, header, header + 7].map(
      (length): PacketCase => ({
        name: `that quotes ${length} bytes is left to the host`,
        from: 'uplink',
        given,
        in: error(quoted.bytes().subarray(0, length)),
        verdict: 'next',
        flows: null,
      }),
    ),
    {
      name: 'that quotes the other family is left to the host',
      from: 'uplink',
      given,
      in: otherFamily(outer(), w),
      verdict: 'next',
      flows: null,
    },
  ];
  return cases.map((one) => ({ ...one, name: `${family}: an error ${one.name}` }));
}

/** ICMP of one family about a packet of the other. */
function otherFamily(frame: Packet, w: Addresses): Packet {
  const quoted =
    w === V4
      ? ip({ source: '2001:db8::1', destination: '2001:db8::2' }).udp({ source: 1, destination: 2 })
      : ip({ source: V4.node, destination: V4.remote }).udp({ source: PORT, destination: 53 }).payload(40);
  return (w === V4 ? frame.icmp4({ type: 3 }) : frame.icmp6({ type: 1 })).payload(quoted.bytes());
}
