// Fragments of translated datagrams: the first one has the ports, and later ones follow it.
import { expect, it } from 'vitest';
import { fragmentsOf } from '../../support/fragments.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { type Device, FAMILIES, from, into, NODE_PORT, PORTS } from '../../support/world.js';

const CUT = { id: 0x1d1d, bytes: 64 };
const UDP = { source: 40_000, destination: 53 };
const PORT = PORTS.a + 64;

describeDatapath({ name: 'fragment', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const inside = from('a').ip({ source: w.a, destination: w.remote });
    const outside = from('a').ip({ source: w.node, destination: w.remote, ttl: 63 });
    const kinds: readonly [string, Packet, Packet][] = [
      ['UDP', inside.udp(UDP).payload(200), outside.udp({ ...UDP, source: PORT }).payload(200)],
      ['an echo', inside.echo({ id: 64 }).payload(180), outside.echo({ id: PORT }).payload(180)],
      ['TCP', inside.tcp(UDP).payload(150), outside.tcp({ ...UDP, source: PORT }).payload(150)],
    ];

    /** Each fragment of one packet becomes the fragment of the other. */
    function expectEach(device: Device, packet: Packet, wanted: Packet): void {
      const after = fragmentsOf(wanted.bytes(), CUT);
      fragmentsOf(packet.bytes(), CUT).forEach((fragment, index) => {
        expectOutcome(get().run(device, fragment), 'redirect', after[index] ?? Buffer.alloc(0));
      });
      expect(get().drops()).toEqual({});
    }

    it.each(kinds)(`${family}: fragments of %s leave translated`, (_, packet, wanted) => {
      expectEach('a', packet, wanted);
      expect(get().flows()).toHaveLength(2);
    });

    it(`${family}: fragments of an answer reach the pod`, () => {
      get().run('a', inside.udp(UDP));
      const answer = from('uplink').ip({ source: w.remote, destination: w.node });
      const arrives = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      const ports = { source: UDP.destination, destination: PORT };
      expectEach(
        'uplink',
        answer.udp(ports).payload(200),
        arrives.udp({ ...ports, destination: UDP.source }).payload(200),
      );
    });

    it(`${family}: fragments to a service reach its backend`, () => {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 17 }], [{ address: w.a, port: 8053 }]);
      const request = from('uplink').ip({ source: w.remote, destination: w.node });
      const arrives = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      expectEach(
        'uplink',
        request.udp({ source: 999, destination: NODE_PORT }).payload(200),
        arrives.udp({ source: 999, destination: 8053 }).payload(200),
      );
    });

    it(`${family}: a later fragment whose first was not seen is dropped`, () => {
      const [, later = Buffer.alloc(0)] = fragmentsOf(inside.udp(UDP).payload(200).bytes(), CUT);
      expectOutcome(get().run('a', later), 'drop', later);
      expect(get().drops()).toEqual({ DROP_FRAGMENT_MISS: 1 });
    });

    // Later fragments of IPv6 do not say which protocol they are of.
    const others = ['another identification', 'another destination'];
    it.each(family === 'IPv4' ? [...others, 'another protocol'] : others)(
      `${family}: %s is another datagram`,
      (which) => {
        const [first = Buffer.alloc(0)] = fragmentsOf(inside.udp(UDP).payload(200).bytes(), CUT);
        expect(get().run('a', first).verdict).toBe('redirect');
        const id = which.endsWith('identification') ? CUT.id + 1 : CUT.id;
        const to = which.endsWith('destination') ? w.remote2 : w.remote;
        const ip = from('a').ip({ source: w.a, destination: to });
        const other = which.endsWith('protocol') ? ip.tcp(UDP).payload(200) : ip.udp(UDP).payload(200);
        const [, later = Buffer.alloc(0)] = fragmentsOf(other.bytes(), { ...CUT, id });
        expectOutcome(get().run('a', later), 'drop', later);
        expect(get().drops()).toEqual({ DROP_FRAGMENT_MISS: 1 });
      },
    );

    it(`${family}: inside the cluster fragments need no first one, and leave no trace`, () => {
      const flat = from('a').ip({ source: w.a, destination: w.b }).udp(UDP).payload(200);
      const arrives = into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).udp(UDP).payload(200);
      const after = fragmentsOf(arrives.bytes(), CUT);
      const before = fragmentsOf(flat.bytes(), CUT);
      for (const index of [2, 0, 1]) {
        expectOutcome(get().run('a', before[index] ?? Buffer.alloc(0)), 'redirect', after[index] ?? Buffer.alloc(0));
      }
      expect([...get().maps.fragments.scan()]).toEqual([]);
    });

    it(`${family}: a pod leaves no ports for fragments of another`, () => {
      const spoofed = from('b')
        .ip({ source: w.a, destination: w.remote })
        .udp({ source: 1, destination: 2 })
        .payload(200);
      for (const fragment of fragmentsOf(spoofed.bytes(), CUT))
        expectOutcome(get().run('b', fragment), 'drop', fragment);
      expect(get().drops()).toEqual({ DROP_SPOOFED: 4 });
      expect([...get().maps.fragments.scan()]).toEqual([]);
    });

    it(`${family}: fragments of the host's own datagrams are the host's, in any order`, () => {
      const mine = from('uplink')
        .ip({ source: w.remote, destination: w.node })
        .udp({ source: 53, destination: 5353 })
        .payload(200);
      const fragments = fragmentsOf(mine.bytes(), CUT);
      for (const fragment of [...fragments].reverse()) expectOutcome(get().run('uplink', fragment), 'next', fragment);
      for (const fragment of fragments) expectOutcome(get().run('uplink', fragment), 'next', fragment);
      expect(get().drops()).toEqual({});
    });

    it(`${family}: a first fragment without a flow is not answered with a reset`, () => {
      const segment = inside.tcp({ ...UDP, flags: 'A' }).payload(200);
      const [first = Buffer.alloc(0), later = Buffer.alloc(0)] = fragmentsOf(segment.bytes(), CUT);
      expectOutcome(get().run('a', first), 'drop', first);
      expectOutcome(get().run('a', later), 'drop', later);
      expect(get().drops()).toEqual({ DROP_NO_FLOW: 2 });
    });
  }
});
