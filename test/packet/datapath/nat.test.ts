// Creation of translated flows: which port a flow gets, who else may have it, and what is refused.
import { expect, it } from 'vitest';
import { icmpAnswer, resetAnswer } from '../../support/answers.js';
import type { TestDatapath } from '../../support/datapath.js';
import { blocks, routeKey } from '../../support/datapath.js';
import { ageFlows } from '../../support/flow-state.js';
import { egressPair } from '../../support/flow-text.js';
import { describeDatapath, expectOutcome, type PacketCase, testCases } from '../../support/packet-case.js';
import { parseFrame, parseTransport } from '../../support/packet-text.js';
import { type Addresses, BLOCK, FAMILIES, from, into, PORTS, V4 } from '../../support/world.js';

/** Leaves the pod a block of the one port that its first flow gets. */
function onePort(datapath: TestDatapath, w: Addresses): void {
  const { endpoints } = datapath.maps;
  const endpoint = endpoints.get(w.a);
  if (endpoint === undefined) throw new Error(`no endpoint ${w.a}`);
  endpoints.set(w.a, { ...endpoint, ...blocks(1, PORT) });
}

const TCP = { source: 40_000, destination: 443 };
const PORT = PORTS.a + (TCP.source % BLOCK);

describeDatapath({ name: 'nat', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const ip = (destination = w.remote) => from('a').ip({ source: w.a, destination });
    const out = (destination = w.remote) => from('a').ip({ source: w.node, destination, ttl: 63 });
    const syn = (source: number) => ip().tcp({ ...TCP, source });
    const shifted = (port: number) => out().tcp({ ...TCP, source: port });
    const fill = (datapath: TestDatapath, count: number) => {
      for (let index = 0; index < count; index++) datapath.run('a', syn(20_000 + index));
    };

    testCases(get, [
      {
        name: `${family}: a second packet uses the entries of the first`,
        from: 'a',
        given: (datapath) => datapath.run('a', syn(40_000)),
        in: ip().tcp({ ...TCP, flags: 'A', seq: 1001, ack: 5 }),
        verdict: 'redirect',
        out: out().tcp({ source: PORT, destination: 443, flags: 'A', seq: 1001, ack: 5 }),
        flows: egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT }),
      },
      {
        name: `${family}: a taken port gives way to the next`,
        from: 'a',
        given: (datapath) => datapath.run('a', syn(40_000)),
        in: syn(40_000 + BLOCK),
        verdict: 'redirect',
        out: shifted(PORT + 1),
        flows: [
          ...egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT }),
          ...egressPair(w, { protocol: 'tcp', port: 40_000 + BLOCK, translated: PORT + 1 }),
        ].sort(),
      },
      {
        name: `${family}: behind the block's last port comes its first`,
        from: 'a',
        given: (datapath) => datapath.run('a', syn(BLOCK - 1)),
        in: syn(BLOCK * 2 - 1),
        verdict: 'redirect',
        out: shifted(PORTS.a),
        flows: null,
      },
      {
        name: `${family}: towards another remote the port is free`,
        from: 'a',
        given: (datapath) => datapath.run('a', syn(40_000)),
        in: ip(w.remote2).tcp({ ...TCP, source: 40_000 + BLOCK }),
        verdict: 'redirect',
        out: out(w.remote2).tcp({ ...TCP, source: PORT }),
        flows: null,
      },
      {
        name: `${family}: and for another protocol`,
        from: 'a',
        given: (datapath) => datapath.run('a', syn(40_000)),
        in: ip().udp({ ...TCP, source: 40_000 + BLOCK }),
        verdict: 'redirect',
        out: out().udp({ ...TCP, source: PORT }),
        flows: null,
      },
      {
        name: `${family}: two pods with one source port do not meet`,
        from: 'b',
        given: (datapath) => datapath.run('a', syn(40_000)),
        in: from('b').ip({ source: w.b, destination: w.remote }).tcp(TCP),
        verdict: 'redirect',
        out: from('b')
          .ip({ source: w.node, destination: w.remote, ttl: 63 })
          .tcp({ ...TCP, source: PORTS.b + 64 }),
        flows: [
          ...egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT }),
          ...egressPair(w, { pod: 'b', protocol: 'tcp', port: 40_000, translated: PORTS.b + 64 }),
        ].sort(),
      },
      {
        name: `${family}: the 257th flow to one remote is prohibited`,
        from: 'a',
        given: (datapath) => fill(datapath, BLOCK),
        in: syn(30_000),
        verdict: 'redirect',
        out: icmpAnswer('a', syn(30_000), { kind: 'prohibited', from: w.node }),
        drops: { DROP_PORTS_EXHAUSTED: 1 },
        flows: null,
      },
      {
        name: `${family}: a full block does not hinder flows to another remote`,
        from: 'a',
        given: (datapath) => fill(datapath, BLOCK),
        in: ip(w.remote2).tcp({ ...TCP, source: 30_000 }),
        verdict: 'redirect',
        out: out(w.remote2).tcp({ ...TCP, source: PORTS.a + (30_000 % BLOCK) }),
        flows: null,
      },
      {
        name: `${family}: nor those of another pod`,
        from: 'b',
        given: (datapath) => fill(datapath, BLOCK),
        in: from('b').ip({ source: w.b, destination: w.remote }).tcp(TCP),
        verdict: 'redirect',
        out: from('b')
          .ip({ source: w.node, destination: w.remote, ttl: 63 })
          .tcp({ ...TCP, source: PORTS.b + 64 }),
        flows: null,
      },
      ...['A', 'SA', 'PA', 'FA', 'F', ''].map((flags): PacketCase => {
        const segment = ip()
          .tcp({ ...TCP, flags, seq: 4_294_967_290, ack: 77 })
          .payload('0123456789');
        return {
          name: `${family}: TCP '${flags}' without a flow is reset`,
          from: 'a',
          in: segment,
          verdict: 'redirect',
          out: resetAnswer('a', segment),
          drops: { DROP_NO_FLOW: 1 },
        };
      }),
      {
        name: `${family}: a reset without a flow is not`,
        from: 'a',
        in: ip().tcp({ ...TCP, flags: 'RA' }),
        verdict: 'drop',
        drops: { DROP_NO_FLOW: 1 },
      },
      {
        name: `${family}: TCP options do not count as payload in a reset`,
        from: 'a',
        in: ip()
          .tcp({ ...TCP, flags: 'F', options: Buffer.alloc(12, 1) })
          .payload('abc'),
        verdict: 'redirect',
        out: resetAnswer(
          'a',
          ip()
            .tcp({ ...TCP, flags: 'F', options: Buffer.alloc(12, 1) })
            .payload('abc'),
        ),
        drops: { DROP_NO_FLOW: 1 },
      },
      ...[47, 50].map(
        (protocol): PacketCase => ({
          name: `${family}: protocol ${protocol} cannot be translated`,
          from: 'a',
          in:
            w === V4
              ? from('a').ipv4({ source: w.a, destination: w.remote, protocol }).payload(40)
              : from('a').ipv6({ source: w.a, destination: w.remote, next: protocol }).payload(40),
          verdict: 'drop',
          drops: { DROP_UNSUPPORTED_PROTOCOL: 1 },
        }),
      ),
      {
        name: `${family}: an echo reply that nobody asked for`,
        from: 'a',
        in: ip().echo({ id: 7, reply: true }),
        verdict: 'drop',
        drops: { DROP_ICMP_UNSUPPORTED: 1 },
      },
      ...[13, 8, 128]
        .filter((type) => type !== (w === V4 ? 8 : 128))
        .map(
          (type): PacketCase => ({
            name: `${family}: ICMP type ${type}`,
            from: 'a',
            in: w === V4 ? ip().icmp4({ type }) : ip().icmp6({ type }),
            verdict: 'drop',
            drops: { DROP_ICMP_UNSUPPORTED: 1 },
          }),
        ),
      {
        name: `${family}: a pod without a block`,
        from: 'a',
        given: ({ maps }) => change(maps, w.a, blocks(0)),
        in: syn(40_000),
        verdict: 'drop',
        drops: { DROP_NO_PORT_BLOCK: 1 },
      },
      {
        name: `${family}: a node without an address of the family has no ports of it`,
        from: 'a',
        given: ({ maps }) => change(maps, w.a, { nat_address: '::' }),
        in: syn(40_000),
        verdict: 'drop',
        drops: { DROP_NO_PORT_BLOCK: 1 },
      },
      {
        name: `${family}: where no route leads`,
        from: 'a',
        in: ip(w.noRoute).tcp(TCP),
        verdict: 'redirect',
        out: icmpAnswer('a', ip(w.noRoute).tcp(TCP), { kind: 'netUnreachable', from: w.node }),
        drops: { DROP_NO_ROUTE: 1 },
      },
      {
        name: `${family}: a prefix outside that is said to be unreachable`,
        from: 'a',
        given: ({ maps }) => maps.routes.set(routeKey(w.remote2), { type: 3, next_hop: '::' }),
        in: ip(w.remote2).tcp(TCP),
        verdict: 'redirect',
        out: icmpAnswer('a', ip(w.remote2).tcp(TCP), { kind: 'netUnreachable', from: w.node }),
        drops: { DROP_NO_ROUTE: 1 },
      },
      {
        name: `${family}: a prefix that is never translated sees the pod`,
        from: 'a',
        given: ({ maps }) => maps.routes.set(routeKey(w.remote2), { type: 2, next_hop: '::' }),
        in: ip(w.remote2).tcp(TCP),
        verdict: 'redirect',
        out: from('a').ip({ source: w.a, destination: w.remote2, ttl: 63 }).tcp(TCP),
      },
      {
        name: `${family}: other nodes of the cluster see the pod, too`,
        from: 'a',
        in: ip(w.otherNode).tcp({ ...TCP, flags: 'A' }),
        verdict: 'redirect',
        out: from('a')
          .ip({ source: w.a, destination: w.otherNode, ttl: 63 })
          .tcp({ ...TCP, flags: 'A' }),
      },
      {
        name: `${family}: a node that answers the pod does so untranslated`,
        from: 'uplink',
        in: from('uplink')
          .ip({ source: w.otherNode, destination: w.a })
          .tcp({ ...TCP, flags: 'A' }),
        verdict: 'redirect',
        out: into('a')
          .ip({ source: w.otherNode, destination: w.a, ttl: 63 })
          .tcp({ ...TCP, flags: 'A' }),
      },
    ]);

    it(`${family}: 256 flows of each of two pods to one remote all differ, each in its pod's block`, () => {
      for (const pod of ['a', 'b'] as const) {
        const ports = Array.from({ length: BLOCK }, (_, index) => {
          const packet = from(pod)
            .ip({ source: w[pod], destination: w.remote })
            .tcp({ ...TCP, source: 50_000 + index * 7 });
          return sourcePort(get().run(pod, packet).bytes);
        });
        expect(ports.sort((x, y) => x - y)).toEqual(Array.from({ length: BLOCK }, (_, index) => PORTS[pod] + index));
      }
      expect(get().flows()).toHaveLength(4 * BLOCK);
    });

    describeReuse(family, w);
  }

  /** Ends of the flow 40000 -> 443, and whether its port then is free for another flow. */
  function describeReuse(family: string, w: Addresses): void {
    const mine = (flags: string) =>
      [
        'a',
        from('a')
          .ip({ source: w.a, destination: w.remote })
          .tcp({ ...TCP, flags }),
      ] as const;
    const theirs = (flags: string, numbers = {}) =>
      [
        'uplink',
        from('uplink')
          .ip({ source: w.remote, destination: w.node })
          .tcp({ source: 443, destination: PORT, flags, ...numbers }),
      ] as const;
    const cases = [
      { name: 'reset by the pod', steps: [mine('S'), mine('R')], free: true },
      { name: 'refused by the remote', steps: [mine('S'), theirs('RA', { ack: 1001 })], free: true },
      { name: 'refused by who has not seen its SYN', steps: [mine('S'), theirs('RA', { ack: 1002 })], free: false },
      { name: 'closed by both', steps: [mine('S'), theirs('SA'), mine('FA'), theirs('FA'), mine('A')], free: true },
      { name: 'closed by the pod alone', steps: [mine('S'), theirs('SA'), mine('FA')], free: false },
      { name: 'closed by the remote alone', steps: [mine('S'), theirs('SA'), theirs('FA')], free: false },
      { name: 'open', steps: [mine('S'), theirs('SA')], free: false },
    ];
    it.each(cases)(`${family}: with no other port left, that of a flow $name is free: $free`, ({ steps, free }) => {
      onePort(get(), w);
      for (const [device, packet] of steps) expect(get().run(device, packet).verdict).toBe('redirect');
      const another = from('a')
        .ip({ source: w.a, destination: w.remote })
        .tcp({ ...TCP, source: 40_000 + BLOCK, seq: 500_000 });
      const wanted = from('a')
        .ip({ source: w.node, destination: w.remote, ttl: 63 })
        .tcp({ ...TCP, source: PORT, seq: 500_000 });
      const outcome = get().run('a', another);
      if (free) expectOutcome(outcome, 'redirect', wanted);
      else expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
      expect(get().flows()).toHaveLength(2);
    });

    it(`${family}: a free port near by comes before one that a closed flow leaves`, () => {
      for (const [device, packet] of [mine('S'), mine('R')]) get().run(device, packet);
      const another = from('a')
        .ip({ source: w.a, destination: w.remote })
        .tcp({ ...TCP, source: 40_000 + BLOCK });
      const wanted = from('a')
        .ip({ source: w.node, destination: w.remote, ttl: 63 })
        .tcp({ ...TCP, source: PORT + 1 });
      expectOutcome(get().run('a', another), 'redirect', wanted);
    });

    it(`${family}: a flow that was silent for too long gives its port away, with both entries`, () => {
      const udp = (source: number) =>
        from('a').ip({ source: w.a, destination: w.remote }).udp({ source, destination: 53 });
      get().run('a', udp(40_000));
      const { flows } = get().maps;
      ageFlows(flows, 121);
      const wanted = from('a')
        .ip({ source: w.node, destination: w.remote, ttl: 63 })
        .udp({ source: PORT, destination: 53 });
      expectOutcome(get().run('a', udp(40_000 + BLOCK)), 'redirect', wanted);
      const remote = { address: w.remote, port: 53 };
      expect(get().flows()).toEqual(egressPair(w, { protocol: 'udp', port: 40_000 + BLOCK, translated: PORT, remote }));
    });
  }
});

function change({ endpoints }: TestDatapath['maps'], address: string, fields: object): void {
  const endpoint = endpoints.get(address);
  if (endpoint === undefined) throw new Error(`no endpoint ${address}`);
  endpoints.set(address, { ...endpoint, ...fields });
}

function sourcePort(frame: Buffer): number {
  const network = parseFrame(frame);
  const transport = network === undefined ? undefined : parseTransport(network, frame.subarray(14));
  if (transport === undefined) throw new Error('no transport header');
  return transport.source;
}
