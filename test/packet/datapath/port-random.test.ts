// Ports at random: all of a pod's ports alike, whatever port it chose itself.
import { expect, it } from 'vitest';
import { FIRSTS, open, own, ROW, sorted, sourcePort } from '../../support/block-row.js';
import type { TestDatapath } from '../../support/datapath.js';
import { describeDatapath } from '../../support/packet-case.js';
import { FAMILIES, from } from '../../support/world.js';

describeDatapath(
  { name: 'ports at random', file: import.meta.filename, setups: { random: { config: { random_ports: 1 } } } },
  (get) => {
    it.each(FAMILIES)('%s: are of all blocks alike, and tell nothing of the port that the pod chose', (_, w) => {
      own(get(), w, FIRSTS);
      const counts = new Map<number, number>(ROW.map((port) => [port, 0]));
      const rounds = 4800;
      for (let index = 0; index < rounds; index++) {
        const packet = from('a')
          .ip({ source: w.a, destination: w.remote })
          .udp({ source: 5353, destination: 1000 + index });
        const port = sourcePort(get().run('a', packet).bytes);
        counts.set(port, (counts.get(port) ?? 0) + 1);
        if (index % 500 === 499) clearFlows(get());
      }
      // 100 each on average; the standard deviation is 10.
      expect(counts.size).toBe(ROW.length);
      for (const count of counts.values()) {
        expect(count).toBeGreaterThan(50);
        expect(count).toBeLessThan(150);
      }
    });

    it.each(FAMILIES)('%s: are found to the last one', (_, w) => {
      own(get(), w, FIRSTS);
      expect(sorted(open(get(), w, ROW.length))).toEqual(sorted(ROW));
      expect(get().drops()).toEqual({});
    });
  },
);

function clearFlows({ maps: { flows, flow_totals, flow_counts } }: TestDatapath): void {
  flows.deleteMany([...flows.scan()].map(([key]) => key));
  flow_counts.deleteMany([...flow_counts.scan()].map(([key]) => key));
  flow_totals.set(0, { entries: 0 });
}
