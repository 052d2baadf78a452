// A pod whose veth another CNI plugin made: what is translated is ours, everything else is the host's.
import { beforeEach, expect, it } from 'vitest';
import { ENDPOINT_FLAGS } from '../../../src/datapath/types.gen.js';
import type { TestDatapath } from '../../support/datapath.js';
import { fragmentsOf } from '../../support/fragments.js';
import { arp } from '../../support/neighbour.js';
import { eth, type Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { ETHERTYPE } from '../../support/packet-layer.js';
import { type Addresses, FAMILIES, from, into, MAC, NODE_PORT, PORTS, V4, V6 } from '../../support/world.js';

const CLIENT = 40_000;
const BACKEND = 8080;
/** By the block of a. */
const TRANSLATED = PORTS.a + (CLIENT % 256);
const SETUPS = { island: {}, flat: { config: { island: Uint8Array.of(0, 0) } } };
const BRIDGE_MAC = '02:00:00:00:cc:01';

/** A frame of the chained pod, to its bridge. */
const leaving = () => eth({ source: MAC.a, destination: BRIDGE_MAC });

/** A packet through the program of chained pods. */
const run = (datapath: TestDatapath, packet: Packet | Buffer) => datapath.run('a', packet, { program: 'from_chained' });

function chain(datapath: TestDatapath, address: string): void {
  const entry = datapath.maps.endpoints.get(address);
  if (entry === undefined) throw new Error(`no endpoint ${address}`);
  datapath.maps.endpoints.set(address, { ...entry, flags: ENDPOINT_FLAGS.ENDPOINT_CHAINED });
}

function expectLeft(datapath: TestDatapath, packet: Packet): void {
  expectOutcome(run(datapath, packet), 'next', packet);
  expect([datapath.flows(), datapath.drops()]).toEqual([[], {}]);
}

describeDatapath({ name: 'chained', file: import.meta.filename, setups: SETUPS }, (get, setup) => {
  beforeEach(() => {
    for (const { a } of [V4, V6]) chain(get(), a);
  });

  it('C10: what stays on the link is not looked at', () => {
    const ask = arp(eth({ source: MAC.a, destination: 'ff:ff:ff:ff:ff:ff', type: ETHERTYPE.arp }), {
      operation: 1,
      sender: [MAC.a, V4.b],
      target: ['00:00:00:00:00:00', V4.gateway],
    });
    const solicitation = leaving().ipv6({ source: '::', destination: 'ff02::1:ff00:2', hopLimit: 255 });
    const probe = leaving().ipv6({ source: 'fe80::2', destination: V6.gateway, hopLimit: 255 });
    const dhcp = leaving().ip({ source: '0.0.0.0', destination: '255.255.255.255' });
    const toRouter = leaving().ipv6({ source: 'fe80::2', destination: V6.b, hopLimit: 255 });
    const frames = [
      ask,
      ...[solicitation, probe, toRouter].map((packet) => packet.icmp6({ type: 135 }).payload(20)),
      dhcp.udp({ source: 68, destination: 67 }),
    ];
    for (const packet of frames) expectLeft(get(), packet);
  });

  for (const [family, w] of FAMILIES) {
    const syn = (destination: string, port = 443, source = w.a) =>
      leaving().ip({ source, destination }).tcp({ source: CLIENT, destination: port });

    it(`C10: ${family}: inside the cluster, the host's stack forwards`, () => {
      for (const destination of [w.b, w.far, w.nobody, w.unowned]) expectLeft(get(), syn(destination));
      expectLeft(get(), leaving().ip({ source: w.a, destination: w.b }).echo({ id: 3 }));
    });

    it(`C10: ${family}: and so it does with what is for the pod`, () => {
      for (const [device, source] of [
        ['b', w.b],
        ['uplink', w.far],
      ] as const) {
        const packet = from(device).ip({ source, destination: w.a }).tcp({ source: 1, destination: BACKEND });
        expectOutcome(get().run(device, packet), 'next', packet);
      }
      expect([get().flows(), get().drops()]).toEqual([[], {}]);
    });

    it(`C10: ${family}: no packet leaves by another's address`, () => {
      const destinations = [w.b, w.far, w.remote, w.node, w.vip];
      for (const destination of destinations) {
        expect(run(get(), syn(destination, 80, w.b)).verdict).toBe('drop');
        expect(run(get(), syn(destination, 80, w.remote2)).verdict).toBe('drop');
      }
      expect(get().drops()).toEqual({ DROP_SPOOFED: 2 * destinations.length });
    });

    it(`C10: ${family}: the node itself is the host's, but for ports of flows`, () => {
      expectLeft(get(), syn(w.node, 6443));
      expect(run(get(), syn(w.node, PORTS.b + 3)).verdict).toBe('drop');
      expect(get().drops()).toEqual({ DROP_NO_FLOW: 1 });
    });

    it(`C10: ${family}: other nodes are reached by the pod's own address, as the host's stack knows`, () => {
      expectLeft(get(), syn(w.otherNode));
    });

    it(`C10: ${family}: a frontend, and the way back`, () => {
      get().setService([{ address: w.vip, port: 80, protocol: 6 }], [{ address: w.b, port: BACKEND }]);
      const arrives = into('b').ip({ source: w.node, destination: w.b, ttl: 63 });
      expectOutcome(run(get(), syn(w.vip, 80)), 'redirect', arrives.tcp({ source: TRANSLATED, destination: BACKEND }));
      const answer = from('b').ip({ source: w.b, destination: w.node });
      const shown = into('a').ip({ source: w.vip, destination: w.a, ttl: 63 });
      expectOutcome(
        get().run('b', answer.tcp({ source: BACKEND, destination: TRANSLATED, flags: 'SA' })),
        'redirect',
        shown.tcp({ source: 80, destination: CLIENT, flags: 'SA' }),
      );
    });

    it(`C10: ${family}: itself as a backend of a node port`, () => {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 6 }], [{ address: w.a, port: BACKEND }]);
      const ask = from('uplink').ip({ source: w.remote, destination: w.node });
      const arrives = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      expectOutcome(
        get().run('uplink', ask.tcp({ source: CLIENT, destination: NODE_PORT })),
        'redirect',
        arrives.tcp({ source: CLIENT, destination: BACKEND }),
      );
      const answer = leaving().ip({ source: w.a, destination: w.remote });
      const shown = leaving().ip({ source: w.node, destination: w.remote, ttl: 63 });
      expectOutcome(
        run(get(), answer.tcp({ source: BACKEND, destination: CLIENT, flags: 'SA' })),
        'redirect',
        shown.tcp({ source: NODE_PORT, destination: CLIENT, flags: 'SA' }),
      );
    });

    it(`C10: ${family}: ${setup === 'flat' ? 'to outside as it is' : 'out of an island by its own ports'}`, () => {
      if (setup === 'flat') return expectLeft(get(), syn(w.remote));
      const leaves = leaving().ip({ source: w.node, destination: w.remote, ttl: 63 });
      const outside = leaves.tcp({ source: TRANSLATED, destination: 443 });
      expectOutcome(run(get(), syn(w.remote)), 'redirect', outside);
      expect(get().flows()).toHaveLength(2);
      return expectAnswered(w);
    });

    it(`C10: ${family}: fragments ${setup === 'flat' ? 'as they are, in any order' : 'by the ports of the first'}`, () => {
      const datagram = (destination: string, id: number) => {
        const packet = leaving().ip({ source: w.a, destination }).udp({ source: 1, destination: 2 });
        return fragmentsOf(packet.payload(1200).bytes(), { id, bytes: 800 });
      };
      const verdicts = (...frames: Buffer[]) => frames.map((frame) => run(get(), frame).verdict);
      expect(verdicts(...datagram(w.b, 1).toReversed())).toEqual(['next', 'next']);
      const passed = setup === 'flat' ? 'next' : 'redirect';
      expect(verdicts(...datagram(w.remote, 2))).toEqual([passed, passed]);
      const [, later] = datagram(w.remote, 3);
      expect(verdicts(later ?? Buffer.alloc(0))).toEqual([setup === 'flat' ? 'next' : 'drop']);
      expect(get().drops()).toEqual(setup === 'flat' ? {} : { DROP_FRAGMENT_MISS: 1 });
    });

    function expectAnswered(w: Addresses): void {
      const answer = from('uplink').ip({ source: w.remote, destination: w.node });
      const shown = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      expectOutcome(
        get().run('uplink', answer.tcp({ source: 443, destination: TRANSLATED, flags: 'SA' })),
        'redirect',
        shown.tcp({ source: 443, destination: CLIENT, flags: 'SA' }),
      );
    }
  }
});
