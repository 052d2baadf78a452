// Services: from every kind of frontend to every kind of backend, and the whole way back.
import { expect, it } from 'vitest';
import { abortAnswer, icmpAnswer, resetAnswer } from '../../support/answers.js';
import { aFrontend, type TestDatapath } from '../../support/datapath.js';
import { type FlowPair, flowPair } from '../../support/flow-text.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome, testCases } from '../../support/packet-case.js';
import { parseFrame } from '../../support/packet-text.js';
import { type Addresses, type Device, FAMILIES, from, into, NODE_PORT, PORTS } from '../../support/world.js';

const CLIENT = 40_000;
const BACKEND = 8080;
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;

interface Hop {
  readonly source: string;
  readonly sport: number;
  readonly destination: string;
  readonly dport: number;
}

interface Way {
  readonly name: string;
  readonly frontend: (w: Addresses) => { address: string; port: number };
  readonly client: Device;
  readonly clientAddress: (w: Addresses) => string;
  readonly backend: (w: Addresses) => string;
  readonly backendDevice: Device;
  /** What the backend sees as its client. */
  readonly seen: (w: Addresses) => { address: string; port: number };
  /** Next hops by the uplink, there and back. */
  readonly hop?: (w: Addresses) => string;
  readonly backHop?: (w: Addresses) => string;
}

const vip = (w: Addresses) => ({ address: w.vip, port: 80 });
const nodePort = (w: Addresses) => ({ address: w.node, port: NODE_PORT });
const byBlockOf = (owner: 'node' | 'a' | 'b') => (w: Addresses) => ({
  address: w.node,
  port: PORTS[owner] + (CLIENT % 256),
});
const unchanged = (who: 'remote' | 'far') => (w: Addresses) => ({ address: w[who], port: CLIENT });

const podA = { client: 'a', clientAddress: (w: Addresses) => w.a } as const;
const outsider = { client: 'uplink', clientAddress: (w: Addresses) => w.remote } as const;
const farPod = { client: 'uplink', clientAddress: (w: Addresses) => w.far } as const;
const local = { backend: (w: Addresses) => w.b, backendDevice: 'b' } as const;
const distant = {
  backend: (w: Addresses) => w.far,
  backendDevice: 'uplink',
  hop: (w: Addresses) => w.otherNode,
} as const;

const WAYS: readonly Way[] = [
  { name: 'a pod by the cluster address to a pod of its node', frontend: vip, ...podA, ...local, seen: byBlockOf('a') },
  { name: 'a pod by the cluster address to another node', frontend: vip, ...podA, ...distant, seen: byBlockOf('a') },
  {
    name: 'a pod by the cluster address to itself',
    frontend: vip,
    ...podA,
    backend: (w) => w.a,
    backendDevice: 'a',
    seen: byBlockOf('a'),
  },
  { name: 'a pod by a node port to a pod of its node', frontend: nodePort, ...podA, ...local, seen: byBlockOf('a') },
  { name: 'a pod by a node port to another node', frontend: nodePort, ...podA, ...distant, seen: byBlockOf('a') },
  {
    name: 'an outsider by a node port keeps its address towards a pod of this node',
    frontend: nodePort,
    ...outsider,
    ...local,
    seen: unchanged('remote'),
    backHop: (w) => w.router,
  },
  {
    name: "an outsider by a node port takes the node's address towards another node",
    frontend: nodePort,
    ...outsider,
    ...distant,
    seen: byBlockOf('node'),
    backHop: (w) => w.router,
  },
  {
    name: 'an outsider by a cluster address that is routed here',
    frontend: vip,
    ...outsider,
    ...local,
    seen: unchanged('remote'),
    backHop: (w) => w.router,
  },
  {
    name: "a pod of another node by this node's port: its backend's answer must come back here",
    frontend: nodePort,
    ...farPod,
    ...local,
    seen: byBlockOf('node'),
    backHop: (w) => w.otherNode,
  },
];

describeDatapath({ name: 'service', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
      it.each(WAYS)(`${family} ${protocol}: $name`, (way) => expectRoundTrip(get(), w, { way, protocol }));
    }
    testRefusals(family, w);
    testChoice(family, w);
  }

  function testRefusals(family: string, w: Addresses): void {
    const ask = (device: Device) => from(device).ip({ source: device === 'a' ? w.a : w.remote, destination: w.vip });
    const given = (backends: number) => (datapath: TestDatapath) => {
      for (const protocol of [6, 17, 132])
        datapath.maps.services.set({ address: w.vip, port: 80, protocol }, aFrontend(1, { backend_count: backends }));
    };
    const none = { verdict: 'redirect', drops: { DROP_NO_BACKEND: 1 } } as const;
    const tcp = { source: CLIENT, destination: 80 };
    testCases(get, [
      ...(['a', 'uplink'] as const).flatMap((device) => [
        {
          name: `${family}: without a backend, TCP from ${device} is reset`,
          from: device,
          given: given(0),
          in: ask(device).tcp(tcp),
          ...none,
          out: resetAnswer(device, ask(device).tcp(tcp)),
        },
        {
          name: `${family}: K14: without a backend, an association from ${device} is aborted`,
          from: device,
          given: given(0),
          in: ask(device).sctp(tcp),
          ...none,
          out: abortAnswer(device, ask(device).sctp(tcp)),
        },
        {
          name: `${family}: without a backend, UDP from ${device} is unreachable, as the frontend says`,
          from: device,
          given: given(0),
          in: ask(device).udp(tcp).payload('question'),
          ...none,
          out: icmpAnswer(device, ask(device).udp(tcp).payload('question'), { kind: 'portUnreachable', from: w.vip }),
        },
      ]),
      {
        name: `${family}: a backend that is missing from its map is none`,
        from: 'a',
        given: given(1),
        in: ask('a').tcp(tcp),
        ...none,
        out: resetAnswer('a', ask('a').tcp(tcp)),
      },
      {
        name: `${family}: a segment of no flow to a frontend is reset`,
        from: 'uplink',
        given: given(1),
        in: ask('uplink')
          .tcp({ ...tcp, flags: 'PA', ack: 99 })
          .payload('late'),
        verdict: 'redirect',
        drops: { DROP_NO_FLOW: 1 },
        out: resetAnswer(
          'uplink',
          ask('uplink')
            .tcp({ ...tcp, flags: 'PA', ack: 99 })
            .payload('late'),
        ),
      },
      {
        name: `${family}: an echo to a frontend is no connection to the service`,
        from: 'uplink',
        given: given(1),
        in: ask('uplink').echo({ id: 80 }),
        verdict: 'next',
      },
    ]);
  }

  function testChoice(family: string, w: Addresses): void {
    const frontend = { address: w.node, port: NODE_PORT, protocol: 6 };
    const syn = (source: number, port: number = NODE_PORT) =>
      from('uplink').ip({ source: w.remote, destination: w.node }).tcp({ source, destination: port });

    it(`${family}: every backend gets its share`, () => {
      get().setService(
        [frontend],
        [
          { address: w.a, port: 1 },
          { address: w.b, port: 2 },
          { address: w.far, port: 3 },
        ],
      );
      const destinations = Array.from(
        { length: 150 },
        (_, index) => parseFrame(get().run('uplink', syn(index)).bytes)?.destination,
      );
      for (const backend of [w.a, w.b, w.far]) {
        expect(destinations.filter((one) => one === backend).length).toBeGreaterThan(20);
      }
    });

    it(`${family}: a flow keeps its backend when the service has others, or is gone`, () => {
      get().setService([frontend], [{ address: w.a, port: BACKEND }]);
      get().run('uplink', syn(5));
      get().setService([frontend], [{ address: w.b, port: BACKEND }]);
      const segment = from('uplink')
        .ip({ source: w.remote, destination: w.node })
        .tcp({ source: 5, destination: NODE_PORT, flags: 'A' });
      const arrives = into('a')
        .ip({ source: w.remote, destination: w.a, ttl: 63 })
        .tcp({ source: 5, destination: BACKEND, flags: 'A' });
      expectOutcome(get().run('uplink', segment), 'redirect', arrives);
      get().maps.services.delete(frontend);
      expectOutcome(get().run('uplink', segment), 'redirect', arrives);
    });

    it(`${family}: a connection from the port of one that has ended gets a backend that the service has now`, () => {
      get().setService([frontend], [{ address: w.a, port: BACKEND }]);
      get().run('uplink', syn(5));
      const ends = { source: w.remote, destination: w.node };
      const ports = { source: 5, destination: NODE_PORT };
      const backEnds = { source: w.a, destination: w.remote };
      const backPorts = { source: BACKEND, destination: 5 };
      get().run(
        'uplink',
        from('uplink')
          .ip(ends)
          .tcp({ ...ports, flags: 'FA' }),
      );
      get().run(
        'a',
        from('a')
          .ip(backEnds)
          .tcp({ ...backPorts, flags: 'FA' }),
      );
      get().setService([frontend], [{ address: w.b, port: BACKEND }]);
      const arrives = into('b')
        .ip({ source: w.remote, destination: w.b, ttl: 63 })
        .tcp({ source: 5, destination: BACKEND });
      expectOutcome(get().run('uplink', syn(5)), 'redirect', arrives);
      expect(get().flows()).toHaveLength(2);
    });

    it(`${family}: two frontends of one backend, asked from one port, do not collide`, () => {
      const second = { ...frontend, port: NODE_PORT + 1 };
      get().setService([frontend, second], [{ address: w.b, port: BACKEND }]);
      const first = into('b')
        .ip({ source: w.remote, destination: w.b, ttl: 63 })
        .tcp({ source: 5, destination: BACKEND });
      expectOutcome(get().run('uplink', syn(5)), 'redirect', first);
      const other = into('b')
        .ip({ source: w.node, destination: w.b, ttl: 63 })
        .tcp({ source: PORTS.node + 5, destination: BACKEND });
      expectOutcome(get().run('uplink', syn(5, NODE_PORT + 1)), 'redirect', other);
      for (const [client, port, frontendPort] of [
        [w.remote, 5, NODE_PORT],
        [w.node, PORTS.node + 5, NODE_PORT + 1],
      ] as const) {
        const answer = from('b')
          .ip({ source: w.b, destination: client })
          .tcp({ source: BACKEND, destination: port, flags: 'SA' });
        const back = from('b')
          .ip({ source: w.node, destination: w.remote, ttl: 63 })
          .tcp({ source: frontendPort, destination: 5, flags: 'SA' });
        expectOutcome(get().run('b', answer), 'redirect', back);
      }
    });

    it(`${family}: a full block of the node refuses with "prohibited"`, () => {
      get().setService([frontend], [{ address: w.far, port: BACKEND }]);
      for (let index = 0; index < 256; index++) expect(get().run('uplink', syn(index)).verdict).toBe('redirect');
      expectOutcome(
        get().run('uplink', syn(900)),
        'redirect',
        icmpAnswer('uplink', syn(900), { kind: 'prohibited', from: w.node }),
      );
      expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
    });
  }
});

type Protocol = 'tcp' | 'udp' | 'sctp';

interface RoundTrip {
  readonly way: Way;
  readonly protocol: Protocol;
}

/** Request and answer, and the entries that carried them. */
function expectRoundTrip(datapath: TestDatapath, w: Addresses, { way, protocol }: RoundTrip): void {
  const frontend = way.frontend(w);
  const seen = way.seen(w);
  const backend = { address: way.backend(w), port: BACKEND };
  datapath.setService([{ ...frontend, protocol: PROTOCOLS[protocol] }], [backend]);
  const client = { address: way.clientAddress(w), port: CLIENT };
  const request = packet(protocol, 'S');
  const answer = packet(protocol, 'SA');
  expectOutcome(
    datapath.run(way.client, request(from(way.client), hop(client, frontend), 64)),
    'redirect',
    request(leaving(way.client, way.backendDevice), hop(seen, backend), 63),
  );
  expect(datapath.flows()).toEqual(flowPair(pairOf({ way, protocol }, w)));
  expectOutcome(
    datapath.run(way.backendDevice, answer(from(way.backendDevice), hop(backend, seen), 64)),
    'redirect',
    answer(leaving(way.backendDevice, way.client), hop(frontend, client), 63),
  );
  expect(datapath.flows()).toEqual(flowPair({ ...pairOf({ way, protocol }, w), state: 'seen_reply' }));
  expect(datapath.drops()).toEqual({});
}

function pairOf({ way, protocol }: RoundTrip, w: Addresses): FlowPair {
  const source = { address: way.clientAddress(w), port: CLIENT };
  const seen = way.seen(w);
  return {
    protocol,
    source,
    destination: way.frontend(w),
    newSource: seen.address === source.address ? source : seen,
    newDestination: { address: way.backend(w), port: BACKEND },
    from: way.client,
    to: way.backendDevice,
    hop: way.hop?.(w) ?? '',
    backHop: way.backHop?.(w) ?? '',
  };
}

/** To a pod the datapath writes the frame's addresses; by the uplink the kernel does, after the redirect. */
function leaving(by: Device, to: Device): Packet {
  return to === 'uplink' ? from(by) : into(to);
}

interface At {
  readonly address: string;
  readonly port: number;
}

function hop(source: At, destination: At): Hop {
  return { source: source.address, sport: source.port, destination: destination.address, dport: destination.port };
}

function packet(protocol: Protocol, flags: string) {
  return (frame: Packet, { source, sport, destination, dport }: Hop, ttl: number): Packet => {
    const ip = frame.ip({ source, destination, ttl });
    const ports = { source: sport, destination: dport };
    if (protocol === 'sctp') return ip.sctp({ ...ports, chunks: [flags === 'S' ? 'INIT' : 'INIT ACK'] });
    return protocol === 'tcp' ? ip.tcp({ ...ports, flags, ack: 1 }) : ip.udp(ports).payload('query');
  };
}
