// What is larger than the next hop takes: IPv4 that allows it is sent to be cut, already translated; everything else is
// refused.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { CUT_SIZE, ROUTE_TYPE } from '../../../src/datapath/types.gen.js';
import { CUT_SIZES, DETOUR_MAC } from '../../../src/net/detour.js';
import { icmpAnswer } from '../../support/answers.js';
import { eth, type Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome, type PacketCase, testCases } from '../../support/packet-case.js';
import { from, into, MAC, PORTS, V4, V6 } from '../../support/world.js';

const PORT = PORTS.a + 64;
const UDP = { source: 40_000, destination: 443 };
/** As it leaves to the namespace that cuts, which takes the hop off that was just counted. */
const away = (): Packet => eth({ source: MAC.gateway, destination: DETOUR_MAC });

describe('the sizes', () => {
  it('are the same in the programs and in the routes', () => {
    expect(Object.values(CUT_SIZE).filter((size) => size > 0)).toEqual([...CUT_SIZES]);
  });
});

describeDatapath(
  { name: 'cut', file: import.meta.filename, setups: { cut: { config: { cut_ifindex: 4242 } } } },
  (get) => {
    const outward = { source: V4.a, destination: V4.remote };
    const toPod = (mtu: number): NonNullable<PacketCase['given']> => {
      return ({ maps }) => {
        for (const address of [V4.b, V6.b]) {
          const pod = maps.endpoints.get(address);
          if (pod !== undefined) maps.endpoints.set(address, { ...pod, mtu });
        }
      };
    };
    const large = (fields: object): Packet =>
      from('a')
        .ipv4({ ...outward, ...fields })
        .udp(UDP)
        .payload(1473);
    const df = large({ dontFragment: true });
    const later = (fields: object, source: string, ttl: number, frame: Packet): Packet =>
      frame
        .ipv4({ source, destination: V4.remote, ttl, offset: 1480, moreFragments: true, protocol: 17, ...fields })
        .payload(1488);
    const first = from('a')
      .ipv4({ ...outward, moreFragments: true })
      .udp({ ...UDP, checksum: 7 })
      .payload(1472);
    testCases(get, [
      {
        name: 'a datagram without DF leaves translated, to be cut',
        from: 'a',
        in: large({}),
        verdict: 'redirect',
        out: away()
          .ipv4({ source: V4.node, destination: V4.remote, ttl: 64 })
          .udp({ ...UDP, source: PORT })
          .payload(1473),
        flows: null,
      },
      {
        name: 'with DF it is refused',
        from: 'a',
        in: df,
        verdict: 'redirect',
        out: icmpAnswer('a', df, { kind: 'tooBig', from: V4.node, mtu: 1500 }),
        drops: { DROP_TOO_BIG: 1 },
        flows: null,
      },
      {
        name: 'so is IPv6, which no router cuts',
        from: 'a',
        in: from('a').ip({ source: V6.a, destination: V6.remote }).udp(UDP).payload(1453),
        verdict: 'redirect',
        out: icmpAnswer('a', from('a').ip({ source: V6.a, destination: V6.remote }).udp(UDP).payload(1453), {
          kind: 'tooBig',
          from: V6.node,
          mtu: 1500,
        }),
        drops: { DROP_TOO_BIG: 1 },
        flows: null,
      },
      {
        name: 'a later fragment without DF is cut once more',
        from: 'a',
        given: (datapath) => void datapath.run('a', first),
        in: later({}, V4.a, 64, from('a')),
        verdict: 'redirect',
        out: later({}, V4.node, 64, away()),
        flows: null,
      },
      {
        name: 'a later fragment with DF goes nowhere, and no error is about it',
        from: 'a',
        given: (datapath) => void datapath.run('a', first),
        in: later({ dontFragment: true }, V4.a, 64, from('a')),
        verdict: 'drop',
        drops: { DROP_TOO_BIG: 1 },
        flows: null,
      },
      {
        name: 'the last hop is not spent on it',
        from: 'a',
        in: large({ ttl: 1 }),
        verdict: 'redirect',
        out: icmpAnswer('a', large({ ttl: 1 }), { kind: 'timeExceeded', from: V4.node }),
        drops: { DROP_TTL_EXCEEDED: 1 },
        flows: null,
      },
      ...[1400, 1280, 1000, 576].map(
        (mtu): PacketCase => ({
          name: `to a pod whose device takes ${mtu} bytes it is cut`,
          from: 'uplink',
          given: toPod(mtu),
          in: from('uplink').ip({ source: V4.far, destination: V4.b }).udp(UDP).payload(1473),
          verdict: 'redirect',
          out: away().ip({ source: V4.far, destination: V4.b }).udp(UDP).payload(1473),
        }),
      ),
      {
        name: 'to a pod whose device takes 575 bytes it is refused',
        from: 'uplink',
        given: toPod(575),
        in: from('uplink').ip({ source: V4.far, destination: V4.b }).udp(UDP).payload(600),
        verdict: 'redirect',
        out: icmpAnswer('uplink', from('uplink').ip({ source: V4.far, destination: V4.b }).udp(UDP).payload(600), {
          kind: 'tooBig',
          from: V4.node,
          mtu: 575,
        }),
        drops: { DROP_TOO_BIG: 1 },
      },
      {
        name: 'segments of TCP without DF that do not fit are cut, too',
        from: 'uplink',
        given: toPod(1400),
        in: from('uplink')
          .ip({ source: V4.far, destination: V4.b })
          .tcp({ ...UDP, flags: 'A' })
          .payload(3000),
        gsoSize: 1460,
        verdict: 'redirect',
        out: away()
          .ip({ source: V4.far, destination: V4.b })
          .tcp({ ...UDP, flags: 'A' })
          .payload(3000),
      },
      {
        name: 'what fits is not touched',
        from: 'uplink',
        given: toPod(1500),
        in: from('uplink').ip({ source: V4.far, destination: V4.b }).udp(UDP).payload(1472),
        verdict: 'redirect',
        out: into('b').ip({ source: V4.far, destination: V4.b, ttl: 63 }).udp(UDP).payload(1472),
      },
    ]);

    describe.each([
      ['IPv4', V4, '192.0.2.77', '/32', '10.244.9.5', 128],
      ['IPv6', V6, '2001:db8:2::77', '/128', 'fd00:1:1:9::5', 128],
    ] as const)(
      '%s: what the routing table says of the way to a node',
      (family, w, nextHop, host, pod, prefix_length) => {
        const given = (): void => {
          execFileSync('ip', ['route', 'replace', `${nextHop}${host}`, 'dev', 'ist-up', 'mtu', 'lock', '1300']);
          get().maps.routes.set({ prefix_length, prefix: pod }, { type: ROUTE_TYPE.ROUTE_NODE, next_hop: nextHop });
        };
        const header = family === 'IPv4' ? 20 : 40;
        const sized = (bytes: number, ttl = 64): Packet =>
          from('a')
            .ip({ source: w.a, destination: pod, ttl })
            .tcp({ ...UDP, flags: 'A' })
            .payload(bytes - header - 20);

        it('counts for packets to its pods', () => {
          given();
          expectOutcome(get().run('a', sized(1300)), 'redirect', sized(1300, 63));
          const refused = get().run('a', sized(1301));
          if (family === 'IPv4') {
            const out = away().ip({ source: w.a, destination: pod });
            expectOutcome(refused, 'redirect', out.tcp({ ...UDP, flags: 'A' }).payload(1301 - 40));
          } else {
            expectOutcome(
              refused,
              'redirect',
              icmpAnswer('a', sized(1301), { kind: 'tooBig', from: w.node, mtu: 1300 }),
            );
          }
        });

        it('counts for flows to its pods, too', () => {
          given();
          execFileSync('ip', ['route', 'replace', `${pod}${host}`, 'via', nextHop, 'dev', 'ist-up']);
          get().setService([{ address: w.vip, port: 80, protocol: 17 }], [{ address: pod, port: 8080 }]);
          get().run(
            'uplink',
            from('uplink').ip({ source: w.remote, destination: w.vip }).udp({ source: 9, destination: 80 }),
          );
          expect(
            get()
              .flows()
              .filter((line) => line.includes(`${pod}`))
              .join(),
          ).toMatch(/mtu 1300 rewrite_source rewrite_destination/);
        });
      },
    );
  },
);
