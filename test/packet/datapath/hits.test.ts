// Hits of backends: new connections count, and packets of those that are established do not.
import { expect, it } from 'vitest';
import { describeDatapath } from '../../support/packet-case.js';
import { FAMILIES, from } from '../../support/world.js';

const BACKEND_PORT = 8080;
const COUNT = 12;

describeDatapath({ name: 'hits', file: import.meta.filename }, (get) => {
  /** Connections of all CPUs, by address of the backend. */
  const hits = (): Record<string, number> =>
    Object.fromEntries(
      Array.from(get().maps.hits.scan(), ([{ address, port }, counters]) => {
        expect(port).toBe(BACKEND_PORT);
        return [address, counters.reduce((sum, { connections }) => sum + Number(connections), 0)];
      }),
    );

  for (const [family, w] of FAMILIES) {
    const frontends = (['tcp', 'udp'] as const).map((name) => ({
      address: w.vip,
      port: 80,
      protocol: name === 'tcp' ? 6 : 17,
    }));
    const send = (by: 'a' | 'uplink', source: number, protocol: 'tcp' | 'udp' = 'tcp', flags = 'S') => {
      const ip = from(by).ip({ source: by === 'a' ? w.a : w.remote, destination: w.vip });
      const ports = { source, destination: 80 };
      const packet = protocol === 'udp' ? ip.udp(ports) : ip.tcp({ ...ports, flags });
      expect(get().run(by, packet).verdict).toBe('redirect');
    };

    it(`${family}: each new connection counts once, whoever opens it`, () => {
      get().setService(frontends, [{ address: w.b, port: BACKEND_PORT }]);
      for (let index = 0; index < COUNT; index++) send(index % 2 === 0 ? 'a' : 'uplink', 41_000 + index);
      send('a', 42_000, 'udp');
      expect(hits()).toEqual({ [w.b]: COUNT + 1 });
    });

    it(`${family}: packets of an established connection do not count`, () => {
      get().setService(frontends, [{ address: w.b, port: BACKEND_PORT }]);
      for (let index = 0; index < COUNT; index++) send('a', 41_000, 'tcp', index === 0 ? 'S' : 'A');
      for (let index = 0; index < COUNT; index++) send('uplink', 41_001, 'udp');
      expect(hits()).toEqual({ [w.b]: 2 });
    });

    it(`${family}: each backend has its own count, and a service without one counts nothing`, () => {
      get().setService(
        frontends,
        [w.b, w.far].map((address) => ({ address, port: BACKEND_PORT })),
      );
      for (let index = 0; index < 64; index++) send('uplink', 41_000 + index);
      const { [w.b]: here = 0, [w.far]: there = 0, ...others } = hits();
      expect(others).toEqual({});
      expect([here > 0, there > 0, here + there]).toEqual([true, true, 64]);
      get().reset();
      get().setService(frontends, []);
      send('a', 41_000);
      expect(hits()).toEqual({});
    });
  }
});
