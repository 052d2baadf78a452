// A node without an address of a family has no name to answer with in it.
import { expect, it } from 'vitest';
import { resetAnswer } from '../../support/answers.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { FAMILIES, from } from '../../support/world.js';

const setups = { 'no node address': { config: { node_address: ['::', '::'] } } };

describeDatapath({ name: 'answer', file: import.meta.filename, setups }, (get) => {
  for (const [family, w] of FAMILIES) {
    it(`${family}: an error from nobody is not sent`, () => {
      const refused = from('a').ip({ source: w.a, destination: w.unowned }).udp({ source: 1, destination: 2 });
      expectOutcome(get().run('a', refused), 'drop', refused);
      expect(get().drops()).toEqual({ DROP_NO_ENDPOINT: 1 });
    });

    it(`${family}: a reset is, as it comes from whom the segment was for`, () => {
      const refused = from('a')
        .ip({ source: w.a, destination: w.remote })
        .tcp({ source: 1, destination: 2, flags: 'A' });
      expectOutcome(get().run('a', refused), 'redirect', resetAnswer('a', refused));
    });
  }
});
