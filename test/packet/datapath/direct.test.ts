// Direct server return: what one node hands over, what another one does with it, and what becomes of errors about it.
import { expect, it } from 'vitest';
import { FLOW_FLAGS, SERVICE_FLAGS } from '../../../src/datapath/types.gen.js';
import { ANSWER, icmpAnswer, resetAnswer } from '../../support/answers.js';
import { aFrontend, type TestDatapath } from '../../support/datapath.js';
import { changeFlows } from '../../support/flow-state.js';
import { ip, type Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { ETHERNET_BYTES } from '../../support/packet-layer.js';
import { parseFrame } from '../../support/packet-text.js';
import { type Addresses, FAMILIES, from, into, NODE_PORT } from '../../support/world.js';

const CLIENT = 40_000;
const BACKEND = 8080;
const VIP_PORT = 80;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;

type Protocol = keyof typeof PROTOCOLS;

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'direct', file: import.meta.filename, setups }, (get) => {
  for (const [name, w] of FAMILIES) {
    const world = { w, ipv4: name === 'IPv4', bytes: name === 'IPv4' ? 20 : 40 };
    testHandingOver(name, world, get);
    testReceiving(name, world, get);
    testErrors(name, world, get);
  }
});

interface World {
  readonly w: Addresses;
  readonly ipv4: boolean;
  /** Of an outer header. */
  readonly bytes: number;
}

/** A frontend of a service with direct return, with these backends. */
function serve(datapath: TestDatapath, address: string, backends: readonly string[], flags = 0): void {
  const services = [...datapath.maps.services.scan()];
  const id = services.length + 1;
  backends.forEach((backend, slot) => {
    datapath.maps.backends.set({ service_id: id, generation: 1, slot }, { address: backend, port: BACKEND });
  });
  for (const protocol of Object.values(PROTOCOLS)) {
    const value = aFrontend(id, { backend_count: backends.length, flags: SERVICE_FLAGS.SERVICE_DIRECT | flags });
    datapath.maps.services.set({ address, port: VIP_PORT, protocol }, value);
  }
}

/** A pod of this node takes what others hand over for a frontend. */
function accept(datapath: TestDatapath, pod: string, address: string, port = VIP_PORT): void {
  for (const protocol of Object.values(PROTOCOLS)) {
    datapath.maps.direct_backends.set({ pod, address, port, protocol }, { port: BACKEND });
  }
}

interface Sent {
  readonly source: string;
  readonly destination: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly flags?: string;
  readonly ttl?: number;
  readonly payload?: number;
  readonly protocol?: Protocol;
  readonly dontFragment?: boolean;
  readonly ack?: number;
}

/** A packet in a frame, or inside another one. */
function sent(frame: Packet, { source, destination, ttl = 64, payload = 4, ...of }: Sent): Packet {
  const { sport = CLIENT, dport = VIP_PORT, flags = 'S', protocol = 'tcp', dontFragment = false, ack = 0 } = of;
  const network = source.includes(':')
    ? frame.ipv6({ source, destination, hopLimit: ttl })
    : frame.ipv4({ source, destination, ttl, dontFragment });
  const ports = { source: sport, destination: dport };
  const transport = protocol === 'tcp' ? network.tcp({ ...ports, flags, ack }) : network.udp(ports);
  return transport.payload(payload);
}

/** The frame of a packet that one node sends to a pod of another. */
function outer(source: string, destination: string, frame = from('uplink')): Packet {
  return source.includes(':')
    ? frame.ipv6({ source, destination })
    : frame.ipv4({ source, destination, id: 0, dontFragment: true });
}

/** The same packet without its frame. */
function bare(packet: Packet): Buffer {
  return packet.bytes().subarray(ETHERNET_BYTES);
}

/** Frame and outer header taken apart. The flow label of IPv6 spreads flows over ways; it may be anything. */
function takeApart(bytes: Buffer, { ipv4, bytes: header }: World) {
  const network = parseFrame(bytes);
  const class_ = ipv4 ? bytes.readUInt8(15) : (bytes.readUInt16BE(14) >> 4) & 0xff;
  return {
    outer: {
      source: network?.source,
      destination: network?.destination,
      protocol: network?.protocol,
      ttl: network?.ttl,
      length: network?.length,
      fragment: network?.fragment,
      checksum: network?.checksum,
      class: class_,
    },
    inner: bytes.subarray(ETHERNET_BYTES + header),
  };
}

function wrapped({ w, ipv4, bytes }: World, inner: Buffer, class_ = 0) {
  return {
    outer: {
      source: w.node,
      destination: w.far,
      protocol: ipv4 ? 4 : 41,
      ttl: 64,
      length: inner.length + (ipv4 ? bytes : 0),
      fragment: ipv4 ? 'id 0 DF' : '',
      checksum: ipv4 ? 'ok' : 'absent',
      class: class_,
    },
    inner,
  };
}

/** Of the entry of the client's packets. */
function flagsOf(datapath: TestDatapath, client: string): string[] {
  const [[, flow] = []] = [...datapath.maps.flows.scan()].filter(([key]) => key.source === client);
  const watched = ['ENCAPSULATE', 'AWAITED', 'SEEN_REPLY', 'FIN_ORIGINAL', 'FIN_REPLY', 'RESET'] as const;
  return watched.filter((name) => (flow?.flags ?? 0) & FLOW_FLAGS[`FLOW_${name}`]);
}

function testHandingOver(name: string, world: World, get: () => TestDatapath): void {
  const { w } = world;
  const asked = { source: w.remote, destination: w.vip };
  const given = (flags = 0) => serve(get(), w.vip, [w.far], flags);
  const send = (of: Partial<Sent> = {}, options = {}) =>
    get().run('uplink', sent(from('uplink'), { ...asked, ...of }), options);

  for (const protocol of ['tcp', 'udp'] as const) {
    for (const summed of [false, true]) {
      it(`${name} ${protocol}: an outsider's packet goes to the pod's node as it is${summed ? ', summed by the device' : ''}`, ({
        skip,
      }) => {
        skip(summed && !get().canSum, 'the kernel makes no such packets (BPF_F_TEST_SKB_CHECKSUM_COMPLETE)');
        given();
        const { verdict, bytes } = send({ protocol }, { summed });
        expect(verdict).toBe('redirect');
        const inner = bare(sent(from('uplink'), { ...asked, protocol, ttl: 63 }));
        expect(takeApart(bytes, world)).toEqual(wrapped(world, inner));
        expect(
          get()
            .flows()
            .filter((line) => line.includes('encapsulate')),
        ).toEqual([expect.stringContaining(`uplink -> uplink ${w.otherNode} mtu ${1500 - world.bytes}`)]);
      });
    }
  }

  it(`${name}: the outer packet is of the inner one's class, with its congestion bits`, () => {
    given();
    const frame = sent(from('uplink'), { ...asked, protocol: 'udp' }).bytes();
    setClass(frame, ETHERNET_BYTES, 0xba, world);
    const { bytes } = get().run('uplink', frame);
    expect(takeApart(bytes, world).outer.class).toBe(0xba);
  });

  it(`${name}: what a frame has behind the packet is not part of it`, () => {
    given();
    const padded = Buffer.concat([sent(from('uplink'), asked).bytes(), Buffer.alloc(10)]);
    const { bytes } = get().run('uplink', padded);
    const inner = bare(sent(from('uplink'), { ...asked, ttl: 63 }));
    expect(takeApart(bytes, world).outer).toEqual(wrapped(world, inner).outer);
  });

  // Test runs make large packets of no protocol, which the kernel does not put into others: real ones are in netns.
  it(`${name}: the segments of a large packet must leave room, too`, () => {
    given();
    send();
    const segment = 1500 - world.bytes - (world.ipv4 ? 40 : 60);
    const large = sent(from('uplink'), { ...asked, flags: 'A', payload: 3000, dontFragment: true });
    const answer = icmpAnswer('uplink', large, { kind: 'tooBig', from: w.node, mtu: 1500 - world.bytes });
    expectOutcome(get().run('uplink', large, { gsoSize: segment + 1 }), 'redirect', answer);
  });

  it(`${name}: what leaves no room for the outer header is too big, and the client is told how large it may be`, () => {
    given();
    send();
    const inside = 1500 - world.bytes;
    const header = (world.ipv4 ? 20 : 40) + 20;
    const fits = send({ flags: 'A', payload: inside - header, dontFragment: true });
    expect(takeApart(fits.bytes, world).outer.length).toBe(world.ipv4 ? 1500 : 1460);
    const large = sent(from('uplink'), { ...asked, flags: 'A', payload: inside - header + 1, dontFragment: true });
    const answer = icmpAnswer('uplink', large, { kind: 'tooBig', from: w.node, mtu: inside });
    expectOutcome(get().run('uplink', large), 'redirect', answer);
    expect(get().drops()).toEqual({ DROP_TOO_BIG: 1 });
  });

  it(`${name}: a pod of this node gets it without an outer packet`, () => {
    serve(get(), w.vip, [w.b]);
    const delivered = sent(into('b'), { ...asked, destination: w.b, dport: BACKEND, ttl: 63 });
    expectOutcome(send(), 'redirect', delivered);
    expect(flagsOf(get(), w.remote)).toEqual([]);
  });

  it.each([
    ['a pod of another node', w.far],
    ["the backend's own node", w.otherNode],
  ])(`${name}: %s is translated, because an answer would not find its way`, (_, source) => {
    given();
    const { bytes } = send({ source });
    expect(parseFrame(bytes)).toMatchObject({ source: w.node, destination: w.far, protocol: 6 });
    expect(flagsOf(get(), source)).toEqual([]);
  });

  it(`${name}: who asks two frontends from one port is translated at the second, if one pod serves both`, () => {
    given();
    serve(get(), w.remote2, [w.far]);
    send();
    const { bytes } = send({ destination: w.remote2 });
    expect(parseFrame(bytes)).toMatchObject({ source: w.node, destination: w.far, protocol: 6 });
  });

  it(`${name}: a flow stays with its backend, whatever becomes of the service`, () => {
    given();
    send();
    get().maps.services.delete({ address: w.vip, port: VIP_PORT, protocol: PROTOCOLS.tcp });
    const { bytes } = send({ flags: 'PA', payload: 100 });
    expect(takeApart(bytes, world).outer.destination).toBe(w.far);
  });

  it(`${name}: source ranges hold where the packet comes in`, () => {
    given(SERVICE_FLAGS.SERVICE_SOURCE_RANGES);
    expect(send().verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_SOURCE_RANGE: 1 });
  });

  it(`${name}: one direction tells the state of a connection`, () => {
    given();
    const states = ['S', 'A', 'PA', 'FA', 'A'].map((flags) => {
      send({ flags });
      return flagsOf(get(), w.remote).slice(1);
    });
    expect(states).toEqual([
      ['AWAITED'],
      ['SEEN_REPLY'],
      ['SEEN_REPLY'],
      ['SEEN_REPLY', 'FIN_ORIGINAL', 'FIN_REPLY'],
      ['SEEN_REPLY', 'FIN_ORIGINAL', 'FIN_REPLY'],
    ]);
    send({ flags: 'S' });
    expect(flagsOf(get(), w.remote)).toEqual(['ENCAPSULATE', 'AWAITED']);
    send({ flags: 'R' });
    expect(flagsOf(get(), w.remote)).toEqual(['ENCAPSULATE', 'AWAITED', 'RESET']);
    send({ flags: 'S' });
    expect(flagsOf(get(), w.remote)).toEqual(['ENCAPSULATE', 'AWAITED']);
  });

  it(`${name}: a connection that another node took in goes on, where every node chooses alike`, () => {
    given(SERVICE_FLAGS.SERVICE_MAGLEV);
    oneBackend(get());
    const { verdict, bytes } = send({ flags: 'PA', payload: 10 });
    expect(verdict).toBe('redirect');
    const inner = bare(sent(from('uplink'), { ...asked, flags: 'PA', payload: 10, ttl: 63 }));
    expect(takeApart(bytes, world)).toEqual(wrapped(world, inner));
    expect(flagsOf(get(), w.remote)).toEqual(['ENCAPSULATE', 'SEEN_REPLY']);
  });

  it.each([
    ['nodes choose each for themselves', 0, 'far'],
    ['its backend would be on this node, which does not know it', SERVICE_FLAGS.SERVICE_MAGLEV, 'b'],
  ] as const)(`${name}: it is reset where %s`, (_, flags, backend) => {
    serve(get(), w.vip, [w[backend]], flags);
    oneBackend(get());
    const packet = sent(from('uplink'), { ...asked, flags: 'PA', payload: 10, ack: 77 });
    expectOutcome(get().run('uplink', packet), 'redirect', resetAnswer('uplink', packet));
    expect(get().flows()).toEqual([]);
  });

  it(`${name}: fragments are handed over one by one`, () => {
    given();
    const parts = fragmentsOf(world, asked);
    for (const part of parts) {
      const { verdict, bytes } = get().run('uplink', part(from('uplink'), 64));
      expect(verdict).toBe('redirect');
      expect(takeApart(bytes, world).inner).toEqual(bare(part(from('uplink'), 63)));
    }
  });

  it(`${name}: a way that has become narrower counts`, () => {
    given();
    send();
    changeFlows(get().maps.flows, () => ({ mtu: 1400 }));
    const of = { flags: 'A', payload: 1400, dontFragment: true };
    const packet = sent(from('uplink'), { ...asked, ...of });
    const answer = icmpAnswer('uplink', packet, { kind: 'tooBig', from: w.node, mtu: 1400 });
    expectOutcome(get().run('uplink', packet), 'redirect', answer);
  });
}

/** With one backend, every slot of its table leads to it. */
function oneBackend({ maps }: TestDatapath): void {
  for (const [, { id }] of maps.services.scan()) {
    for (let chunk = 0; chunk < 32; chunk++) {
      maps.maglev.set({ service_id: id, generation: 1, chunk }, { slots: Array(512).fill(0) });
    }
  }
}

/** Both fragments of a datagram, as functions of frame and hop limit. */
function fragmentsOf({ ipv4 }: World, { source, destination }: { source: string; destination: string }) {
  const whole = ip({ source, destination }).udp({ source: CLIENT, destination: VIP_PORT }).payload(2000).bytes();
  const body = whole.subarray(ipv4 ? 20 : 40);
  return [
    { offset: 0, more: true, part: body.subarray(0, 1200) },
    { offset: 1200, more: false, part: body.subarray(1200) },
  ].map(
    ({ offset, more, part }) =>
      (frame: Packet, ttl: number) =>
        ipv4
          ? frame.ipv4({ source, destination, ttl, id: 7, offset, moreFragments: more, protocol: 17 }).payload(part)
          : frame
              .ipv6({ source, destination, hopLimit: ttl })
              .fragment6({ offset, more, id: 7, next: 17 })
              .payload(part),
  );
}

function testReceiving(name: string, world: World, get: () => TestDatapath): void {
  const { w } = world;
  const asked = { source: w.remote, destination: w.vip };
  const handed = (of: Partial<Sent> = {}, pod = w.a, node = w.otherNode) =>
    sent(outer(node, pod), { ...asked, ttl: 62, ...of });
  const receive = (packet: Packet | Buffer, options = {}) => get().run('uplink', packet, options);
  const inPod = (of: Partial<Sent> = {}, device: 'a' | 'b' = 'a') =>
    sent(into(device), { ...asked, destination: w[device], dport: BACKEND, ttl: 61, ...of });

  for (const protocol of ['tcp', 'udp'] as const) {
    for (const summed of [false, true]) {
      it(`${name} ${protocol}: the pod sees the client, and its answer goes there itself${summed ? ', summed by the device' : ''}`, ({
        skip,
      }) => {
        skip(summed && !get().canSum, 'the kernel makes no such packets (BPF_F_TEST_SKB_CHECKSUM_COMPLETE)');
        accept(get(), w.a, w.vip);
        expectOutcome(receive(handed({ protocol }), { summed }), 'redirect', inPod({ protocol }));
        const back = { sport: BACKEND, dport: CLIENT, protocol, flags: 'SA' } as const;
        const answer = sent(from('a'), { source: w.a, destination: w.remote, ...back });
        const outside = sent(from('a'), { source: w.vip, destination: w.remote, ...back, sport: VIP_PORT, ttl: 63 });
        expectOutcome(get().run('a', answer), 'redirect', outside);
        const ways = [expect.stringContaining(`a -> uplink ${w.router}`), expect.stringContaining('uplink -> a')];
        expect(get().flows()).toEqual(expect.arrayContaining(ways));
        expect(get().drops()).toEqual({});
      });
    }
  }

  it(`${name}: a node port of the node that took it in answers by that node's address`, () => {
    accept(get(), w.a, '::', NODE_PORT);
    const to = { destination: w.otherNode, dport: NODE_PORT };
    expectOutcome(receive(handed(to)), 'redirect', inPod());
    const answer = sent(from('a'), { source: w.a, destination: w.remote, sport: BACKEND, dport: CLIENT, flags: 'SA' });
    const { bytes } = get().run('a', answer);
    expect(parseFrame(bytes)).toMatchObject({ source: w.otherNode, destination: w.remote });
  });

  it(`${name}: a node port of a third node is nobody's to hand over`, () => {
    accept(get(), w.a, '::', NODE_PORT);
    expect(receive(handed({ destination: w.remote2, dport: NODE_PORT })).verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_NO_DIRECT_BACKEND: 1 });
  });

  it(`${name}: fragments reach the pod`, () => {
    accept(get(), w.a, w.vip);
    for (const [index, part] of fragmentsOf(world, asked).entries()) {
      const { verdict, bytes } = receive(part(outer(w.otherNode, w.a), 62));
      expect([index, verdict, parseFrame(bytes)?.destination]).toEqual([index, 'redirect', w.a]);
    }
    expect(get().drops()).toEqual({});
  });

  it(`${name}: a later fragment without its first one goes nowhere`, () => {
    accept(get(), w.a, w.vip);
    const [, later] = fragmentsOf(world, asked);
    if (later === undefined) throw new Error('no later fragment');
    expect(receive(later(outer(w.otherNode, w.a), 62)).verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_FRAGMENT_MISS: 1 });
  });

  it(`${name}: who is no node of the cluster hands nothing over`, () => {
    accept(get(), w.a, w.vip);
    for (const node of [w.remote, w.router, w.remote2]) expect(receive(handed({}, w.a, node)).verdict).toBe('drop');
    expect([get().drops(), get().flows()]).toEqual([{ DROP_TUNNEL_SOURCE: 3 }, []]);
  });

  it(`${name}: a pod may have a tunnel of its own to another`, () => {
    const packet = (frame: Packet, ttl: number) =>
      sent(
        world.ipv4
          ? frame.ipv4({ source: w.far, destination: w.a, ttl })
          : frame.ipv6({ source: w.far, destination: w.a, hopLimit: ttl }),
        asked,
      );
    expectOutcome(receive(packet(from('uplink'), 64)), 'redirect', packet(into('a'), 63));
  });

  it.each([
    ['a pod that is not behind the frontend', {}],
    ['a port that no frontend has', { dport: 81 }],
    ["a pod's source address", { source: w.far }],
    ["a pod's address", { destination: w.b }],
    ["this node's own address", { destination: w.node }],
  ])(`${name}: %s gets nothing that is handed over`, (text, of) => {
    accept(get(), text.startsWith('a pod that') ? w.b : w.a, w.vip);
    expect(receive(handed(of)).verdict).toBe('drop');
    expect([get().drops(), get().flows()]).toEqual([{ DROP_NO_DIRECT_BACKEND: 1 }, []]);
  });

  it(`${name}: the node is told that the pod is gone`, () => {
    const packet = handed({}, w.nobody);
    const answer = icmpAnswer('uplink', packet, { kind: 'hostUnreachable', from: w.node });
    expectOutcome(receive(packet), 'redirect', answer);
  });

  it(`${name}: a connection that nobody knows is reset at its client, by the frontend's name`, () => {
    accept(get(), w.a, w.vip);
    const { verdict, bytes } = receive(handed({ flags: 'PA', ack: 77 }));
    const inner = sent(from('uplink'), { ...asked, flags: 'PA', ack: 77, ttl: 62 });
    const reset = resetAnswer('uplink', inner).bytes();
    expect([verdict, bytes.toString('hex')]).toEqual(['redirect', reset.toString('hex')]);
    expect(get().drops()).toEqual({ DROP_NO_FLOW: 1 });
  });

  it(`${name}: an answer takes the way to the client, not that to the node that handed over`, () => {
    accept(get(), w.a, w.vip);
    expect(receive(handed({ flags: 'A' })).verdict).toBe('redirect');
    expect(receive(handed({ flags: 'A', source: w.noRoute })).verdict).toBe('drop');
  });

  it(`${name}: a packet whose hops are used up is answered by the pod's node`, () => {
    accept(get(), w.a, w.vip);
    const answer = icmpAnswer('uplink', sent(from('uplink'), { ...asked, ttl: 1 }), {
      kind: 'timeExceeded',
      from: w.node,
    });
    expectOutcome(receive(handed({ ttl: 1 })), 'redirect', answer);
    expect(get().drops()).toEqual({ DROP_TTL_EXCEEDED: 1 });
  });

  it(`${name}: a new choice of the node that takes in is followed, but not within a connection`, () => {
    for (const pod of [w.a, w.b]) accept(get(), pod, w.vip);
    receive(handed({ protocol: 'udp' }));
    expectOutcome(receive(handed({ protocol: 'udp' }, w.b)), 'redirect', inPod({ protocol: 'udp' }, 'b'));
    receive(handed());
    expectOutcome(receive(handed({ flags: 'A' }, w.b)), 'redirect', inPod({ flags: 'A' }));
    expectOutcome(receive(handed({}, w.b)), 'redirect', inPod({}, 'b'));
  });

  it(`${name}: two nodes that disagree do not send a packet to and fro`, () => {
    accept(get(), w.a, w.vip);
    serve(get(), w.vip, [w.far]);
    receive(sent(from('uplink'), asked));
    expect(flagsOf(get(), w.remote)).toEqual(['ENCAPSULATE', 'AWAITED']);
    expect(receive(handed({ flags: 'A' })).verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_NO_DIRECT_BACKEND: 1 });
    expectOutcome(receive(handed()), 'redirect', inPod());
  });

  it(`${name}: congestion on the way between the nodes is told to the pod`, () => {
    accept(get(), w.a, w.vip);
    const frame = outer(w.otherNode, w.a);
    const bytes = sent(frame, { ...asked, protocol: 'udp', ttl: 62 }).bytes();
    setClass(bytes, ETHERNET_BYTES, 3, world);
    setClass(bytes, ETHERNET_BYTES + world.bytes, 2, world);
    const arrived = receive(bytes).bytes;
    expect(world.ipv4 ? arrived.readUInt8(15) & 3 : (arrived.readUInt16BE(14) >> 4) & 3).toBe(3);
  });
}

/** With the IPv4 header's checksum put right. */
function setClass(frame: Buffer, at: number, class_: number, { ipv4 }: World): void {
  if (!ipv4) {
    frame.writeUInt16BE((6 << 12) | (class_ << 4), at);
    return;
  }
  frame.writeUInt8(class_, at + 1);
  frame.writeUInt16BE((frame.readUInt16BE(at + 10) - class_ + 0xffff) % 0xffff, at + 10);
}

function testErrors(name: string, world: World, get: () => TestDatapath): void {
  const { w } = world;
  const asked = { source: w.remote, destination: w.vip };
  const connect = (...kinds: readonly string[]) => {
    serve(get(), w.vip, [w.far]);
    for (const flags of kinds) get().run('uplink', sent(from('uplink'), { ...asked, flags }));
  };
  /** About what this node has put around a client's packet. */
  const about = (reporter: string, kind: keyof typeof ANSWER, of: Partial<Sent> = {}, mtu = 0) => {
    const [four, six] = ANSWER[kind];
    const [type, code] = world.ipv4 ? four : six;
    const quoted = bare(sent(outer(w.node, w.far), { ...asked, ttl: 63, payload: 4, ...of }));
    const frame = from('uplink').ip({ source: reporter, destination: w.node });
    const fields = { type, code, rest: mtu };
    return (world.ipv4 ? frame.icmp4(fields) : frame.icmp6(fields)).payload(quoted);
  };
  /** What the client once sent, as it was quoted. */
  const client = (of: Partial<Sent> = {}) => sent(from('uplink'), { ...asked, ttl: 63, payload: 4, ...of });

  it(`${name}: what is too big for a router between the nodes is told to the client, less the outer header`, () => {
    connect('S', 'A');
    const outcome = get().run('uplink', about(w.router, 'tooBig', { flags: 'A', payload: 40 }, 1300));
    const quoted = client({ flags: 'A', payload: 40 });
    const wanted = icmpAnswer('uplink', quoted, { kind: 'tooBig', from: w.node, mtu: 1300 - world.bytes });
    expectOutcome(outcome, 'redirect', cut(wanted, outcome.bytes));
    expect(get().flows()).toHaveLength(2);
  });

  it(`${name}: a pod that is gone ends its connections with a reset by the frontend's name`, () => {
    connect('S', 'A');
    const outcome = get().run('uplink', about(w.otherNode, 'hostUnreachable', { flags: 'A', ack: 77 }));
    expectOutcome(outcome, 'redirect', resetAnswer('uplink', client({ flags: 'A', ack: 77 })));
    expect(get().flows()).toEqual([]);
    expect(get().drops()).toEqual({ DROP_NO_ENDPOINT: 1 });
  });

  it(`${name}: who begins one at a pod that is gone gets another backend by the next try`, () => {
    connect('S');
    expect(get().run('uplink', about(w.otherNode, 'hostUnreachable')).verdict).toBe('drop');
    expect([get().flows(), get().drops()]).toEqual([[], { DROP_NO_ENDPOINT: 1 }]);
  });

  it(`${name}: a datagram to a pod that is gone is answered, and its flow goes`, () => {
    serve(get(), w.vip, [w.far]);
    get().run('uplink', sent(from('uplink'), { ...asked, protocol: 'udp' }));
    const outcome = get().run('uplink', about(w.otherNode, 'hostUnreachable', { protocol: 'udp' }));
    const wanted = icmpAnswer('uplink', client({ protocol: 'udp' }), { kind: 'hostUnreachable', from: w.node });
    expectOutcome(outcome, 'redirect', wanted);
    expect(get().flows()).toEqual([]);
  });

  it(`${name}: what others report of the pod is told to the client, and ends nothing`, () => {
    connect('S', 'A');
    const outcome = get().run('uplink', about(w.router, 'hostUnreachable', { flags: 'A' }));
    const wanted = icmpAnswer('uplink', client({ flags: 'A' }), { kind: 'hostUnreachable', from: w.node });
    expectOutcome(outcome, 'redirect', wanted);
    expect(get().flows()).toHaveLength(2);
  });

  it(`${name}: an error about what nobody has handed over ends here`, () => {
    connect('S');
    expect(get().run('uplink', about(w.otherNode, 'hostUnreachable', { sport: 1 })).verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_ICMP_ERROR_NO_FLOW: 1 });
    expect(get().flows()).toHaveLength(2);
  });

  it(`${name}: an error about an answer is handed over to who sent that, and reaches the pod`, () => {
    connect('S', 'A');
    const answer = { source: w.vip, destination: w.remote, sport: VIP_PORT, dport: CLIENT, flags: 'A', ttl: 60 };
    const [type, code] = ANSWER.tooBig[world.ipv4 ? 0 : 1];
    const error = (frame: Packet, ttl: number, quoted: Buffer, destination = w.vip) => {
      const network = frame.ip({ source: w.router, destination, ttl });
      const fields = { type, code, rest: 1280 };
      return (world.ipv4 ? network.icmp4(fields) : network.icmp6(fields)).payload(quoted);
    };
    const quoted = bare(sent(from('uplink'), answer));
    const { verdict, bytes } = get().run('uplink', error(from('uplink'), 64, quoted));
    expect(verdict).toBe('redirect');
    expect(takeApart(bytes, world)).toEqual(wrapped(world, bare(error(from('uplink'), 63, quoted))));

    get().reset();
    accept(get(), w.a, w.vip);
    get().run('uplink', sent(outer(w.otherNode, w.a), asked));
    const arrived = get().run('uplink', error(outer(w.otherNode, w.a), 63, quoted));
    const inside = bare(sent(from('uplink'), { ...answer, source: w.a, sport: BACKEND }));
    expectOutcome(arrived, 'redirect', error(into('a'), 62, inside, w.a));
  });
}

/** What is quoted is as much as there was. */
function cut(wanted: Packet, outcome: Buffer): Packet | Buffer {
  return wanted.bytes().length === outcome.length ? wanted : wanted.bytes().subarray(0, outcome.length);
}
