// The xdp program beside from_netdev: what it sends or drops is what the packet hook would, and the rest it leaves.
import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { FLOW_FLAGS } from '../../../src/datapath/types.gen.js';
import { ageFlows } from '../../support/flow-state.js';
import { fragmentsOf } from '../../support/fragments.js';
import { aService, aSlice, backends } from '../../support/objects.js';
import { eth, type Packet } from '../../support/packet.js';
import { describeDatapath } from '../../support/packet-case.js';
import { parseFrame, parseTransport, printFrame } from '../../support/packet-text.js';
import { programServices } from '../../support/program-services.js';
import { randomPacket } from '../../support/random-packet.js';
import { type Addresses, FAMILIES, from, MAC, NODE_PORT, V4, V6 } from '../../support/world.js';
import { learnNeighbours, NODE_MAC, runFrame, sentPackets, tellNextHops } from '../../support/xdp-run.js';

const CLIENT = 40_000;
const SERVER = 8080;
const PROTOCOLS = ['tcp', 'udp'] as const;
type Protocol = (typeof PROTOCOLS)[number];

/** What a client and the backend on the other node say to each other. */
interface Talk {
  readonly w: Addresses;
  readonly protocol: Protocol;
  readonly port?: number;
}

interface Segment {
  readonly flags?: string;
  readonly payload?: string | number;
  readonly ttl?: number;
  readonly checksum?: number;
  readonly seq?: number;
  readonly ack?: number;
}

const word = (protocol: Protocol) => (protocol === 'tcp' ? 6 : 17);

function transport(ip: Packet, protocol: Protocol, ports: { source: number; destination: number }, segment: Segment) {
  const { flags = 'PA', payload = 'odd', ttl: _, seq = 7, ack = 9, ...checksum } = segment;
  if (protocol === 'tcp') return ip.tcp({ ...ports, flags, seq, ack, ...checksum }).payload(payload);
  return ip.udp({ ...ports, ...checksum }).payload(payload);
}

function request({ w, protocol, port = CLIENT }: Talk, segment: Segment = {}): Packet {
  const ip = from('uplink').ip({ source: w.remote, destination: w.node, ttl: segment.ttl ?? 64 });
  return transport(ip, protocol, { source: port, destination: NODE_PORT }, segment);
}

describeDatapath({ name: 'xdp', file: import.meta.filename }, (get) => {
  beforeEach(() => {
    learnNeighbours();
    tellNextHops(get());
    for (const { node, far } of [V4, V6]) {
      const frontends = [6, 17].map((protocol) => ({ address: node, port: NODE_PORT, protocol }));
      get().setService(frontends, [{ address: far, port: SERVER }]);
    }
  });

  /** The port of the node's block that a flow got. */
  const natPort = ({ w, protocol, port = CLIENT }: Talk): number => {
    const key = { source: w.remote, source_port: port, destination: w.node, destination_port: NODE_PORT };
    return get().maps.flows.get({ ...key, protocol: word(protocol) })?.source_port ?? 0;
  };
  const reply = (talk: Talk, segment: Segment = {}): Packet => {
    const { w, protocol } = talk;
    const ip = eth({ source: NODE_MAC, destination: MAC.uplink }).ip({
      source: w.far,
      destination: w.node,
      ttl: segment.ttl ?? 64,
    });
    return transport(ip, protocol, { source: SERVER, destination: natPort(talk) }, segment);
  };
  /** The first packets, which belong to the packet hook. */
  const open = (talk: Talk): void => {
    expect(get().run('uplink', request(talk, { flags: 'S' })).verdict).toBe('redirect');
    expect(get().run('uplink', reply(talk, { flags: 'SA' })).verdict).toBe('redirect');
  };
  const isLeft = (packet: Packet | Buffer, ifindex?: number): void => {
    const bytes = Buffer.isBuffer(packet) ? packet : packet.bytes();
    const outcome = runFrame(get(), packet, ifindex);
    expect([outcome.verdict, ...printFrame(outcome.bytes)]).toEqual(['pass', ...printFrame(bytes)]);
    expect(outcome.bytes.equals(bytes)).toBe(true);
  };
  /** Sent as from_netdev would send it, to the MAC of the next hop. */
  const isSent = (packet: Packet | Buffer, mac: string): Buffer => {
    const outcome = runFrame(get(), packet);
    const twin = get().run('uplink', packet);
    const wanted = Buffer.concat([
      eth({ source: MAC.uplink, destination: mac }).bytes().subarray(0, 12),
      twin.bytes.subarray(12),
    ]);
    expect([outcome.verdict, ...printFrame(outcome.bytes)]).toEqual(['send', ...printFrame(wanted)]);
    expect(outcome.bytes.equals(wanted)).toBe(true);
    expect(twin.verdict).toBe('redirect');
    return outcome.bytes;
  };
  const each = FAMILIES.flatMap(([family, w]) => PROTOCOLS.map((protocol) => ({ family, w, protocol })));

  it.each(each)('$family $protocol: sends both directions of an established flow', (talk) => {
    open(talk);
    const before = sentPackets(get());
    for (const payload of ['', 'odd', 'even', 1400]) {
      const there = isSent(request(talk, { payload }), NODE_MAC);
      const back = isSent(reply(talk, { payload }), MAC.router);
      for (const [bytes, ttl] of [
        [there, 63],
        [back, 63],
      ] as const) {
        const network = parseFrame(bytes);
        if (network === undefined) throw new Error('no IP packet');
        expect(network).toMatchObject({ ttl });
        expect(network.checksum).toBe(talk.w === V4 ? 'ok' : 'absent');
        expect(parseTransport(network, bytes.subarray(14))?.checksum).toBe('ok');
      }
      expect(parseFrame(there)).toMatchObject({ source: talk.w.node, destination: talk.w.far });
      expect(parseFrame(back)).toMatchObject({ source: talk.w.node, destination: talk.w.remote });
    }
    expect(sentPackets(get())).toBe(before + 8);
    expect(get().drops()).toEqual({});
  });

  it.each(each)('$family $protocol: counts in the flow what it sends', (talk) => {
    open(talk);
    const packets = () => [...get().maps.flows.scan()].reduce((sum, [, flow]) => sum + Number(flow.packets), 0);
    const before = packets();
    expect(runFrame(get(), request(talk)).verdict).toBe('send');
    expect(runFrame(get(), reply(talk)).verdict).toBe('send');
    expect(packets()).toBe(before + 2);
  });

  it.each(each)('$family $protocol: leaves the first packets, and the answer that makes it established', (talk) => {
    const before = sentPackets(get());
    isLeft(request(talk, { flags: 'S' }));
    get().run('uplink', request(talk, { flags: 'S' }));
    isLeft(reply(talk, { flags: 'SA' }));
    expect(sentPackets(get())).toBe(before);
  });

  it.each(FAMILIES)('%s: leaves every segment that changes the state of a connection', (_, w) => {
    const talk: Talk = { w, protocol: 'tcp' };
    open(talk);
    for (const flags of ['FA', 'R', 'RA']) {
      isLeft(request(talk, { flags }));
      isLeft(reply(talk, { flags }));
    }
    expect(get().run('uplink', reply(talk, { flags: 'FA' })).verdict).toBe('redirect');
    // What the opener sends now is what a later connection by this port is measured by.
    isLeft(request(talk, { flags: 'A' }));
    isSent(reply(talk, { flags: 'A' }), MAC.router);
  });

  it.each(each)('$family $protocol: leaves what the packet hook answers, cuts or measures', (talk) => {
    open(talk);
    isLeft(request(talk, { ttl: 1 }));
    isLeft(request(talk, { payload: 1500 }));
    const whole = request(talk, { payload: 200 }).bytes();
    for (const piece of fragmentsOf(whole, { id: 7, bytes: 64 })) isLeft(piece);
    isLeft(
      Buffer.concat([eth({ source: MAC.router, destination: MAC.b }).bytes().subarray(0, 12), whole.subarray(12)]),
    );
    isLeft(whole.subarray(0, whole.length - 20));
    isLeft(request(talk), get().ifindex.b);
  });

  it.each(PROTOCOLS)('%s: leaves IPv4 options and IPv6 extension headers', (protocol) => {
    open({ w: V4, protocol });
    open({ w: V6, protocol });
    const ports = { source: CLIENT, destination: NODE_PORT };
    const optional = from('uplink').ipv4({
      source: V4.remote,
      destination: V4.node,
      options: Uint8Array.of(1, 1, 1, 0),
    });
    isLeft(transport(optional, protocol, ports, {}));
    const extended = from('uplink').ip({ source: V6.remote, destination: V6.node }).extension(60);
    isLeft(transport(extended, protocol, ports, {}));
  });

  it.each(each)('$family $protocol: leaves a checksum that a device is to finish', (talk) => {
    open(talk);
    for (const payload of ['', 'odd', 900]) {
      for (const packet of [request, reply]) {
        const length =
          (talk.protocol === 'tcp' ? 20 : 8) +
          Buffer.from(new Uint8Array(Number(payload) || String(payload).length)).length;
        const network = parseFrame(packet(talk, { payload }).bytes());
        if (network === undefined) throw new Error('no IP packet');
        isLeft(packet(talk, { payload, checksum: pseudoSum(network, word(talk.protocol), length) }));
      }
    }
  });

  it('keeps UDP without a checksum so', () => {
    const talk: Talk = { w: V4, protocol: 'udp' };
    open(talk);
    const bytes = isSent(request(talk, { checksum: 0 }), NODE_MAC);
    expect(bytes.readUInt16BE(14 + 20 + 6)).toBe(0);
  });

  it.each(FAMILIES)('%s: leaves a flow to a pod of this node, and what belongs to no flow', (_, w) => {
    get().maps.services.set({ address: w.node, port: NODE_PORT + 1, protocol: 17 }, frontendTo(get(), w.b));
    const to = from('uplink').ip({ source: w.remote, destination: w.node });
    const local = to.udp({ source: CLIENT, destination: NODE_PORT + 1 }).payload('x');
    expect(get().run('uplink', local).verdict).toBe('redirect');
    isLeft(local);
    isLeft(to.udp({ source: CLIENT, destination: 22 }));
    isLeft(to.echo({ id: 5 }));
    isLeft(from('uplink').ip({ source: w.remote, destination: w.b }).udp({ source: 1, destination: 2 }));
  });

  it.each(FAMILIES)('%s: leaves a packet to each next hop now and then, for the stack to notice', (_, w) => {
    const talk: Talk = { w, protocol: 'udp' };
    open(talk);
    tellNextHops(get(), 60);
    isLeft(request(talk));
    isLeft(reply(talk));
  });

  it.each(FAMILIES)('%s: leaves a flow whose next hop has no MAC yet', async (_, w) => {
    const talk: Talk = { w, protocol: 'udp' };
    open(talk);
    const { execFileSync } = await import('node:child_process');
    execFileSync('ip', ['neigh', 'del', w.otherNode, 'dev', 'ist-up']);
    tellNextHops(get());
    isLeft(request(talk));
    isSent(reply(talk), MAC.router);
  });

  it.each(FAMILIES)('%s: keeps a flow alive, and records what a reset is measured by', (_, w) => {
    const talk: Talk = { w, protocol: 'tcp' };
    open(talk);
    const age = () => {
      for (const [key, flow] of [...get().maps.flows.scan()]) {
        get().maps.flows.set(key, { ...flow, seen: flow.seen - 100, resolved: flow.resolved - 100, acknowledged: 1 });
      }
    };
    age();
    const before = Number(process.hrtime.bigint() / 1_000_000_000n) - 5;
    expect(runFrame(get(), request(talk, { ack: 0x12345 })).verdict).toBe('send');
    expect(runFrame(get(), reply(talk, { ack: 0x54321 })).verdict).toBe('send');
    const flows = [...get().maps.flows.scan()].map(([, flow]) => flow);
    for (const { seen, resolved } of flows) expect(Math.min(seen, resolved)).toBeGreaterThan(before);
    expect(flows.map(({ acknowledged }) => acknowledged).sort()).toEqual([0x12345, 0x54321].sort());
    expect(flows.every(({ flags }) => flags & FLOW_FLAGS.FLOW_SEEN_REPLY)).toBe(true);
  });

  it.each(FAMILIES)('%s: follows a change of the MTU of the way within a second', async (family, w) => {
    const talk: Talk = { w, protocol: 'udp' };
    open(talk);
    const { execFileSync } = await import('node:child_process');
    const route = ['route', 'replace', w.far.replace(/5$/, family === 'IPv4' ? '0/24' : '/64'), 'via', w.otherNode];
    execFileSync('ip', [...route, 'mtu', 'lock', '1300']);
    ageFlows(get().maps.flows, 2);
    isLeft(request(talk, { payload: 1350 }));
    isSent(request(talk, { payload: 1200 }), NODE_MAC);
    execFileSync('ip', route);
  });

  it.each(FAMILIES)('K12 %s: drops what source ranges forbid, with reason and counter of the packet hook', (_, w) => {
    const vip = w === V4 ? '203.0.113.80' : '2001:db8:e::80';
    const ports = (['TCP', 'UDP'] as const).map((protocol) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: 80,
      nodePort: 0,
    }));
    const list = backends(w === V4 ? `${w.far}:80@node-2` : `[${w.far}]:80@node-2`);
    programServices(get(), {
      services: [
        aService('web', {
          clusterIPs: [w.vip],
          loadBalancerIPs: [vip],
          ports,
          sourceRanges: [w === V4 ? '198.51.100.0/24' : '2001:db8:9::/48'],
        }),
      ],
      slices: [aSlice('web-1', 'web', { tcp: list, 'udp/UDP': list })],
    });
    const packet = (source: string, protocol: Protocol, destination = vip) =>
      transport(from('uplink').ip({ source, destination }), protocol, { source: 5, destination: 80 }, { flags: 'S' });
    for (const protocol of PROTOCOLS) {
      const forbidden = packet(w.remote2, protocol);
      expect(runFrame(get(), forbidden)).toEqual({ verdict: 'drop', bytes: forbidden.bytes() });
      isLeft(packet(w.remote, protocol));
      isLeft(packet(w.remote2, protocol, w.vip));
    }
    expect(get().drops()).toEqual({ DROP_SOURCE_RANGE: 2 });
    for (const protocol of PROTOCOLS) expect(get().run('uplink', packet(w.remote2, protocol)).verdict).toBe('drop');
    expect(get().drops()).toEqual({ DROP_SOURCE_RANGE: 4 });
  });

  it('agrees with from_netdev on whatever comes', { timeout: 120_000 }, () => {
    const talks = FAMILIES.flatMap(([, w]) => PROTOCOLS.map((protocol): Talk => ({ w, protocol })));
    for (const talk of talks) open(talk);
    const known = fc
      .tuple(
        fc.constantFrom(...talks),
        fc.boolean(),
        fc.constantFrom('A', 'PA', 'FA', 'R', 'S', 'SA', ''),
        fc.nat(1480),
        fc.nat(255),
      )
      .map(([talk, there, flags, payload, ttl]) => (there ? request : reply)(talk, { flags, payload, ttl }).bytes());
    const random = randomPacket.filter(({ device }) => device === 'uplink').map(({ frame }) => frame);
    const seen = { pass: 0, drop: 0, send: 0 };
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: known }, random), (frame) => {
        tellNextHops(get());
        const { verdict, bytes } = runFrame(get(), frame);
        seen[verdict]++;
        if (verdict === 'pass') expect(bytes.equals(frame)).toBe(true);
        const twin = get().run('uplink', frame);
        if (verdict === 'send') {
          expect(['redirect', ...printFrame(bytes).slice(1)]).toEqual([
            twin.verdict,
            ...printFrame(twin.bytes).slice(1),
          ]);
          expect(bytes.subarray(12).equals(twin.bytes.subarray(12))).toBe(true);
        }
        if (verdict === 'drop') expect(twin.verdict).toBe('drop');
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(seen.pass, seen.send)).toBeGreaterThan(100);
  });
});

/** What stands in a checksum field until a device finishes it: the folded sum of the pseudo header. */
function pseudoSum(
  { source, destination }: { source: string; destination: string },
  protocol: number,
  length: number,
): number {
  const words = [protocol, length, ...wordsOf(source), ...wordsOf(destination)];
  let sum = words.reduce((total, value) => total + value, 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function wordsOf(address: string): number[] {
  const bytes = eth().ip({ source: address, destination: address }).bytes();
  const [at, length] = address.includes(':') ? [22, 16] : [26, 4];
  return Array.from({ length: length / 2 }, (_, index) => bytes.readUInt16BE(at + 2 * index));
}

/** A frontend with one backend, whose set is written, too. */
function frontendTo({ maps }: Parameters<typeof runFrame>[0], address: string) {
  maps.backends.set({ service_id: 99, generation: 1, slot: 0 }, { address, port: SERVER });
  const set = { generation: 1, backend_count: 1 };
  return { id: 99, flags: 0, affinity: 0, sets: [set, set] };
}
