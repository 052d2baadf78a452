// The lookup table of consistent hashing: even, the same everywhere, and quiet when backends come and go.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maglevChunks, maglevTable } from '../../src/datapath/maglev.js';

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `10.244.${index >> 8}.${index & 255} 8080`);

function shares(table: Uint16Array, count: number): number[] {
  const sums = Array<number>(count).fill(0);
  for (const owner of table) sums[owner] = (sums[owner] ?? 0) + 1;
  return sums;
}

/** Slots whose owner is another one, of those whose former owner is still there. */
function moved(before: readonly string[], after: readonly string[]): number {
  const [a, b] = [maglevTable(before), maglevTable(after)];
  const stays = new Set(after);
  return a.reduce((sum, owner, slot) => {
    const name = before[owner] ?? '';
    return sum + Number(stays.has(name) && after[b[slot] ?? 0] !== name);
  }, 0);
}

test.each([1, 2, 3, 10, 100, 500])('%i backends have shares that differ by one slot at most', (count) => {
  const sums = shares(maglevTable(names(count)), count);
  expect(Math.max(...sums) - Math.min(...sums)).toBeLessThanOrEqual(1);
});

describe.each([3, 10, 100])('of %i backends', (count) => {
  const all = names(count);

  test('one that goes moves few slots of the others', () => {
    for (const gone of [0, Math.floor(count / 2), count - 1]) {
      const rest = all.filter((_, index) => index !== gone);
      expect(moved(all, rest) / 16381).toBeLessThan(0.05);
    }
  });

  test('one that comes moves few slots beside its own share', () => {
    const more = [...all, '10.245.0.1 8080'];
    expect(moved(all, more) / 16381 - 1 / (count + 1)).toBeLessThan(0.05);
  });
});

test('the order of backends does not matter', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(names(12), { minLength: 1 }), (list) => {
      const sorted = list.toSorted();
      const owners = (order: readonly string[]) => Array.from(maglevTable(order, 251), (owner) => order[owner]);
      expect(owners(list)).toEqual(owners(sorted));
    }),
  );
});

test('every slot is in a chunk', () => {
  const table = maglevTable(names(7));
  const chunks = maglevChunks(names(7));
  expect(chunks.map(({ length }) => length)).toEqual(Array(32).fill(512));
  expect(chunks.flat().slice(0, table.length)).toEqual([...table]);
});
