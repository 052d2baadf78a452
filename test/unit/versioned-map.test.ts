// Every version of a map says what a plain copy would, whichever is asked, and in whatever order.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VersionedMap } from '../../src/model/versioned-map.js';

interface Value {
  readonly number: number;
}

const key = fc.integer({ min: 0, max: 6 });
const change = fc.tuple(key, fc.option(fc.integer(), { nil: undefined }));
/** From which of the versions so far the next one is made; often the newest. */
const step = fc.record({
  from: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  changes: fc.array(change, { maxLength: 4 }),
  read: fc.boolean(),
});

const toValue = (number: number | undefined): Value | undefined => (number === undefined ? undefined : { number });
const sorted = (map: ReadonlyMap<number, Value>) => [...map].sort(([a], [b]) => a - b);

test('versions in a tree of changes are what plain copies are', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const versions = [{ map: new VersionedMap<number, Value>(new Map()), plain: new Map<number, Value>() }];
      for (const { from, changes, read } of steps) {
        const base = versions[Math.round(from * (versions.length - 1))] as (typeof versions)[number];
        const entries = changes.map(([key, number]) => [key, toValue(number)] as const);
        const map = base.map.with(entries);
        const plain = new Map(base.plain);
        for (const [key, value] of entries) {
          if (value === undefined) plain.delete(key);
          else plain.set(key, value);
        }
        const changed = map.changedSince(base.map);
        for (let key = 0; key <= 6; key++) {
          if (changed !== undefined && !changed.has(key)) expect(plain.get(key)).toBe(base.plain.get(key));
        }
        if (read) sorted(base.map);
        versions.push({ map, plain });
      }
      for (const { map, plain } of versions) {
        for (let key = 0; key <= 6; key++) expect(map.get(key)).toBe(plain.get(key));
        expect([map.size, sorted(map)]).toEqual([plain.size, sorted(plain)]);
      }
    }),
  );
});

test('a version knows what changed since one that it was made from, and only since such a one', () => {
  const first = new VersionedMap<string, Value>(new Map([['a', { number: 1 }]]));
  const second = first.with([['b', { number: 2 }]]);
  const third = second.with([['a', undefined]]);
  expect(third.changedSince(first)).toEqual(new Set(['a', 'b']));
  expect(third.changedSince(third)).toEqual(new Set());
  expect(first.changedSince(third)).toBeUndefined();
  expect(third.changedSince(new Map())).toBeUndefined();
  expect(first.with([['c', { number: 3 }]]).changedSince(first)).toBeUndefined();
});
