// Translated packets and their checksums, by direct writes and by helpers: both ways give the same bytes.
import { describeDatapath, testCases } from '../../support/packet-case.js';
import { TRANSLATE_CASES } from '../../support/translate-cases.js';
import { FAMILIES, from, into } from '../../support/world.js';

const PORTS_OF_TCP = { source: 40_000, destination: 443 };

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'rewrite', file: import.meta.filename, setups }, (get) => {
  testCases(get, TRANSLATE_CASES);
  testCases(get, TRANSLATE_CASES, { summed: true });

  // Hop limits alone change here.
  const flat = FAMILIES.flatMap(([family, w]) => [
    {
      name: `${family}: flat, from the wire`,
      from: 'uplink' as const,
      in: from('uplink').ip({ source: w.far, destination: w.b }).tcp(PORTS_OF_TCP).payload('flat'),
      verdict: 'redirect' as const,
      out: into('b').ip({ source: w.far, destination: w.b, ttl: 63 }).tcp(PORTS_OF_TCP).payload('flat'),
    },
    {
      name: `${family}: flat, to the wire`,
      from: 'a' as const,
      in: from('a').ip({ source: w.a, destination: w.far }).tcp(PORTS_OF_TCP),
      verdict: 'redirect' as const,
      out: from('a').ip({ source: w.a, destination: w.far, ttl: 63 }).tcp(PORTS_OF_TCP),
    },
  ]);
  testCases(get, flat, { summed: true });
});
