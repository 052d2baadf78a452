// NAT ports that are left to the host.
import { expect, it } from 'vitest';
import { describeDatapath } from '../../support/packet-case.js';
import { FAMILIES, from } from '../../support/world.js';

const RESERVED = { first: 45_000, last: 45_003 };
describeDatapath(
  {
    name: 'reserved ports',
    file: import.meta.filename,
    setups: {
      reserved: {
        config: {
          reserved: Array.from({ length: 8 }, (_, index) => (index === 1 ? RESERVED : { first: 60_000, last: 60_000 })),
          reserved_count: 2,
        },
      },
    },
  },
  (get) => {
    it.each(FAMILIES)('%s: are the host’s, their neighbours are not', (_, w) => {
      const verdicts = [44_999, 45_000, 45_003, 45_004, 60_000].map((destination) => {
        const packet = from('uplink').ip({ source: w.remote, destination: w.node }).tcp({ source: 443, destination });
        return get().run('uplink', packet).verdict;
      });
      expect(verdicts).toEqual(['drop', 'next', 'next', 'drop', 'next']);
      expect(get().drops()).toEqual({ DROP_NO_FLOW: 2 });
    });
  },
);
