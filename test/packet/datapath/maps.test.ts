// A flow table that is full: new flows are refused, established ones do not notice.
import { expect, it } from 'vitest';
import { icmpAnswer } from '../../support/answers.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { from, into, PORTS, V4 } from '../../support/world.js';

const FLOWS = 4;
const setups = { 'room for 4 flows': { flowEntries: 2 * FLOWS } };

describeDatapath({ name: 'maps', file: import.meta.filename, setups }, (get) => {
  /** A pod with no flow yet: what fills the table keeps others out by itself. */
  const other = from('b').ip({ source: V4.b, destination: V4.remote }).tcp({ source: 1, destination: 443 });
  const refused = icmpAnswer('b', other, { kind: 'prohibited', from: V4.node });
  const client = (source: number, flags = 'S') =>
    from('a').ip({ source: V4.a, destination: V4.remote }).tcp({ source, destination: 443, flags });

  it('refuses what does not fit, and leaves nothing of it behind', () => {
    for (let index = 0; index < FLOWS; index++) expect(get().run('a', client(index)).verdict).toBe('redirect');
    const before = get().flows();
    expectOutcome(get().run('b', other), 'redirect', refused);
    expect(get().drops()).toEqual({ DROP_FLOW_TABLE_FULL: 1 });
    expect(get().flows()).toEqual(before);
  });

  it('leaves nothing behind either when only one entry of the two fits', () => {
    for (let index = 0; index < FLOWS; index++) get().run('a', client(index));
    const [[key] = []] = [...get().maps.flows.scan()];
    if (key !== undefined) get().maps.flows.delete(key);
    const before = get().flows();
    expectOutcome(get().run('b', other), 'redirect', refused);
    expect(get().drops()).toEqual({ DROP_FLOW_TABLE_FULL: 1 });
    expect(get().flows()).toEqual(before);
  });

  it('goes on with established flows, both ways', () => {
    for (let index = 0; index <= FLOWS; index++) get().run('a', client(index));
    const mine = from('a').ip({ source: V4.node, destination: V4.remote, ttl: 63 });
    expectOutcome(
      get().run('a', client(2, 'A')),
      'redirect',
      mine.tcp({ source: PORTS.a + 2, destination: 443, flags: 'A' }),
    );
    const theirs = from('uplink').ip({ source: V4.remote, destination: V4.node });
    const arrives = into('a').ip({ source: V4.remote, destination: V4.a, ttl: 63 });
    expectOutcome(
      get().run('uplink', theirs.tcp({ source: 443, destination: PORTS.a + 2, flags: 'SA' })),
      'redirect',
      arrives.tcp({ source: 443, destination: 2, flags: 'SA' }),
    );
  });

  it('has room again when a flow has gone', () => {
    for (let index = 0; index < FLOWS; index++) get().run('a', client(index));
    get().run('a', client(0, 'R'));
    // The port of the flow that was reset: it gives way.
    expect(get().run('a', client(256)).verdict).toBe('redirect');
    expect(get().flows()).toHaveLength(2 * FLOWS);
    expect(get().drops()).toEqual({});
  });
});
