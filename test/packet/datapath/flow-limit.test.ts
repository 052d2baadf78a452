// How many open flows a pod may have (RFC 6888 REQ-5).
import { expect, it } from 'vitest';
import { icmpAnswer } from '../../support/answers.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { FAMILIES, from, NODE_PORT } from '../../support/world.js';

const LIMIT = 5;
const setups = { 'at most 5 flows a pod': { config: { flow_limit: LIMIT } } };

describeDatapath({ name: 'flow limit', file: import.meta.filename, setups }, (get) => {
  for (const [family, w] of FAMILIES) {
    const segment = (pod: 'a' | 'b', index: number, flags = 'S') =>
      from(pod)
        .ip({ source: w[pod], destination: w.remote })
        .tcp({ source: 10_000 + index, destination: 443, flags });
    const send = (pod: 'a' | 'b', index: number, flags = 'S') => get().run(pod, segment(pod, index, flags)).verdict;

    it(`${family}: ended flows and those of other pods do not count`, () => {
      for (let index = 0; index < LIMIT; index++) expect(send('a', index)).toBe('redirect');
      expect(get().drops()).toEqual({});
      const refused = segment('a', LIMIT);
      expectOutcome(
        get().run('a', refused),
        'redirect',
        icmpAnswer('a', refused, { kind: 'prohibited', from: w.node }),
      );
      expect(get().drops()).toEqual({ DROP_FLOW_LIMIT: 1 });
      expect(get().flows()).toHaveLength(2 * LIMIT);
      expect(get().maps.flow_counts.get(get().ifindex.a)).toMatchObject({ open: LIMIT, refused: 1n });
      send('b', 0);
      send('a', 0, 'R');
      send('a', LIMIT);
      expect(get().flows()).toHaveLength(2 * (LIMIT + 2));
      send('a', LIMIT + 1);
      expect(get().drops()).toEqual({ DROP_FLOW_LIMIT: 2 });
    });

    it(`${family}: it is no limit of those who are outside`, () => {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 6 }], [{ address: w.b, port: 8080 }]);
      for (let index = 0; index < 2 * LIMIT; index++) {
        const syn = from('uplink').ip({ source: w.remote, destination: w.node });
        get().run('uplink', syn.tcp({ source: 1000 + index, destination: NODE_PORT }));
      }
      expect(get().drops()).toEqual({});
      expect(get().flows()).toHaveLength(4 * LIMIT);
    });
  }
});
