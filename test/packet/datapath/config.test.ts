// Modes are chosen by family: flat traffic is forwarded as it is and keeps no flow, whatever the other family does.
import { expect, it } from 'vitest';
import { icmpAnswer } from '../../support/answers.js';
import { describeDatapath, expectOutcome, testCases } from '../../support/packet-case.js';
import { FAMILIES, from, into, NODE_PORT, PORTS, V4 } from '../../support/world.js';

const TCP = { source: 40_000, destination: 443 };
const setups = {
  'both families flat': { config: { island: Uint8Array.of(0, 0) } },
  'IPv4 island, IPv6 flat': { config: { island: Uint8Array.of(1, 0) } },
  'IPv4 flat, IPv6 island': { config: { island: Uint8Array.of(0, 1) } },
};

describeDatapath({ name: 'config', file: import.meta.filename, setups }, (get) => {
  const islandOf = (w: typeof V4) => get().object.config.island[w === V4 ? 0 : 1] === 1;

  for (const [family, w] of FAMILIES) {
    const ip = (destination: string, ttl = 64) => from('a').ip({ source: w.a, destination, ttl });

    it(`${family}: leaves as its mode says`, () => {
      const island = islandOf(w);
      const outside = from('a').ip({ source: island ? w.node : w.a, destination: w.remote, ttl: 63 });
      const source = island ? PORTS.a + 64 : TCP.source;
      expectOutcome(get().run('a', ip(w.remote).tcp(TCP)), 'redirect', outside.tcp({ ...TCP, source }));
      expect(get().flows()).toHaveLength(island ? 2 : 0);
    });

    it(`${family}: what cannot be translated leaves a flat family all the same`, () => {
      const island = islandOf(w);
      const segment = ip(w.remote).tcp({ ...TCP, flags: 'A' });
      expect(get().run('a', segment).verdict).toBe('redirect');
      expect(get().drops()).toEqual(island ? { DROP_NO_FLOW: 1 } : {});
      get().reset();
      const echo = ip(w.remote).echo({ id: 5, reply: true });
      expect(get().run('a', echo).verdict).toBe(island ? 'drop' : 'redirect');
      expect(get().flows()).toEqual([]);
    });

    it(`${family}: the source is checked in every mode`, () => {
      const spoofed = from('a').ip({ source: w.b, destination: w.remote }).tcp(TCP);
      expectOutcome(get().run('a', spoofed), 'drop', spoofed);
      expect(get().drops()).toEqual({ DROP_SPOOFED: 1 });
    });

    it(`${family}: services are translated in every mode`, () => {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 6 }], [{ address: w.b, port: 8080 }]);
      const request = from('uplink')
        .ip({ source: w.remote, destination: w.node })
        .tcp({ ...TCP, destination: NODE_PORT });
      const arrives = into('b')
        .ip({ source: w.remote, destination: w.b, ttl: 63 })
        .tcp({ ...TCP, destination: 8080 });
      expectOutcome(get().run('uplink', request), 'redirect', arrives);
    });

    testCases(get, [
      {
        name: `${family}: inside the cluster the mode does not matter`,
        from: 'a',
        in: ip(w.b).tcp(TCP),
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).tcp(TCP),
      },
      {
        name: `${family}: nor for hops, MTU and routes`,
        from: 'a',
        given: (datapath) => {
          expectOutcome(
            datapath.run('a', ip(w.noRoute).tcp(TCP)),
            'redirect',
            icmpAnswer('a', ip(w.noRoute).tcp(TCP), { kind: 'netUnreachable', from: w.node }),
          );
        },
        in: ip(w.remote, 1).tcp(TCP),
        verdict: 'redirect',
        out: icmpAnswer('a', ip(w.remote, 1).tcp(TCP), { kind: 'timeExceeded', from: w.node }),
        drops: { DROP_NO_ROUTE: 1, DROP_TTL_EXCEEDED: 1 },
        flows: null,
      },
    ]);
  }
});
