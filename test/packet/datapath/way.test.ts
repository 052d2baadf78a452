// Untranslated packets that leave the node: what is decided once a second, for whom, and what is checked for each.
import { expect, it } from 'vitest';
import { icmpAnswer } from '../../support/answers.js';
import type { TestDatapath } from '../../support/datapath.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { FAMILIES, from } from '../../support/world.js';

const TUPLE = { source: 40_000, destination: 443 };
const SEGMENT = { ...TUPLE, flags: 'A', ack: 1 };

const TRIES = 10;
const second = () => process.hrtime.bigint() / 1_000_000_000n;

/**
 * Runs between two ticks of the datapath's clock: what it decides at the beginning stands to the end. What a busy
 * machine did not let finish in time says nothing, and is done again.
 */
function inOneSecond(datapath: TestDatapath, body: () => void): void {
  for (let left = TRIES; !runsInOneSecond(datapath, body); left--)
    if (left === 0) throw new Error(`${TRIES} times the test took longer than the rest of its second`);
}

function runsInOneSecond(datapath: TestDatapath, body: () => void): boolean {
  datapath.reset();
  age(datapath);
  const before = second();
  while (second() === before);
  // The datapath reads the coarse clock: 10 ms late, and more where a machine has more to do than it can.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 80);
  const started = second();
  try {
    body();
  } catch (error) {
    if (second() === started) throw error;
  }
  return second() === started;
}

/** As if the second had passed. */
function age(datapath: TestDatapath): number {
  using ways = datapath.object.map('ways');
  const known = [...ways.scan()].filter(([, slots]) => slots.some(({ resolved }) => resolved > 0));
  for (const [index, slots] of known) {
    ways.set(
      index,
      slots.map((slot) => ({ ...slot, resolved: 0 })),
    );
  }
  return known.length;
}

describeDatapath(
  { name: 'way', file: import.meta.filename, setups: { flat: { config: { island: Uint8Array.of(0, 0) } } } },
  (get) => {
    for (const [family, w] of FAMILIES) {
      const ip = (destination: string, ttl = 64) => from('a').ip({ source: w.a, destination, ttl });

      it.for(['remote', 'far'] as const)(`${family}: to %s, a second's packets go the way of its first`, (who) => {
        const datapath = get();
        inOneSecond(datapath, () => {
          const packet = ip(w[who]).tcp(SEGMENT).payload('hello');
          const forwarded = ip(w[who], 63).tcp(SEGMENT).payload('hello');
          expectOutcome(datapath.run('a', packet), 'redirect', forwarded);
          // Nothing is looked up for the second packet: it would not be found.
          datapath.maps.endpoints.delete(w.a);
          expectOutcome(datapath.run('a', packet), 'redirect', forwarded);
          expect(age(datapath)).toBe(1);
          expectOutcome(datapath.run('a', packet), 'drop', packet);
          expect(datapath.drops()).toEqual({ DROP_SPOOFED: 1 });
        });
      });

      it(`${family}: the way is of one tuple and one device`, () => {
        const datapath = get();
        inOneSecond(datapath, () => {
          datapath.run('a', ip(w.remote).tcp(SEGMENT));
          datapath.maps.endpoints.delete(w.a);
          const others = [
            { device: 'b', packet: from('b').ip({ source: w.a, destination: w.remote }).tcp(SEGMENT) },
            { device: 'a', packet: ip(w.remote).tcp({ ...SEGMENT, source: 40_001 }) },
            { device: 'a', packet: ip(w.remote).tcp({ ...SEGMENT, destination: 444 }) },
            { device: 'a', packet: ip(w.remote).udp(TUPLE) },
            { device: 'a', packet: ip(w.remote2).tcp(SEGMENT) },
            { device: 'a', packet: from('a').ip({ source: w.b, destination: w.remote }).tcp(SEGMENT) },
          ] as const;
          for (const { device, packet } of others) expectOutcome(datapath.run(device, packet), 'drop', packet);
          expect(datapath.drops()).toEqual({ DROP_SPOOFED: others.length });
        });
      });

      it(`${family}: hop limit and MTU are each packet's own`, () => {
        const datapath = get();
        inOneSecond(datapath, () => {
          datapath.run('a', ip(w.remote).tcp(SEGMENT));
          const expired = ip(w.remote, 1).tcp(SEGMENT);
          const answer = icmpAnswer('a', expired, { kind: 'timeExceeded', from: w.node });
          expectOutcome(datapath.run('a', expired), 'redirect', answer);
          expect(datapath.drops()).toEqual({ DROP_TTL_EXCEEDED: 1 });
        });
      });
    }
  },
);
