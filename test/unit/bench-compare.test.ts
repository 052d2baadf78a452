// What moved beyond the noise, and what did not: by the rounds' own spread, by what runs differ by, by the direction.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareReports, moreIsBetter } from '../../src/bench/compare.js';
import type { AnyResult, BenchReport } from '../../src/bench/report.js';
import { aReport, aResult, aTime } from '../support/bench-report.js';

function verdictOf(before: AnyResult, after: AnyResult, facts: Partial<BenchReport> = {}) {
  const [difference] = compareReports(
    aReport({ results: [before] }),
    aReport({ results: [after], ...facts }),
  ).differences;
  return difference?.verdict;
}

const LESS = { goal: { kind: 'at-most', value: 20 }, unit: 'ns' } as const;

test('a ratio that lies apart and differs by more than the notches is better or worse', () => {
  expect(verdictOf(aResult([0.97, 0.98, 0.99]), aResult([1.07, 1.08, 1.09]))).toBe('better');
  expect(verdictOf(aResult([1.07, 1.08, 1.09]), aResult([0.97, 0.98, 0.99]))).toBe('worse');
});

test('a wide spread, a small difference and overlapping quartiles are noise', () => {
  expect(verdictOf(aResult([0.8, 0.98, 1.2]), aResult([0.9, 1.08, 1.3]))).toBe('same');
  expect(verdictOf(aResult([0.98, 0.98, 0.98]), aResult([0.985, 0.985, 0.985]))).toBe('same');
  expect(verdictOf(aResult([0.9, 1, 1.1]), aResult([0.95, 1.04, 1.2]))).toBe('same');
});

test('less is better where the goal is a most, and by the unit without a goal', () => {
  expect(verdictOf(aResult([10, 10, 10], LESS), aResult([15, 15, 15], LESS))).toBe('worse');
  expect(verdictOf(aResult([10], { unit: 'us' }), aResult([5], { unit: 'us' }))).toBe('better');
  expect(verdictOf(aResult([1.2, 1.2]), aResult([1, 1]))).toBe('worse');
  const cost = { better: 'less' } as const;
  expect(verdictOf(aResult([1.2, 1.2], cost), aResult([1, 1], cost))).toBe('better');
  expect(moreIsBetter({ unit: 'MB' })).toBe(false);
});

test('what was measured once, and absolute times, move by more than ratios of many rounds', () => {
  const ns = { unit: 'ns' } as const;
  expect(verdictOf(aResult([100, 100], ns), aResult([104, 104], ns))).toBe('same');
  expect(verdictOf(aResult([100, 100], ns), aResult([107, 107], ns))).toBe('worse');
  expect(verdictOf(aResult([100], ns), aResult([107], ns))).toBe('same');
  expect(verdictOf(aResult([100], ns), aResult([112], ns))).toBe('worse');
});

test('one lost packet where there was none is no noise', () => {
  const count = { unit: 'count', goal: { kind: 'at-most', value: 0 } } as const;
  expect(verdictOf(aResult([0, 0, 0], count), aResult([1, 1, 1], count))).toBe('worse');
  expect(verdictOf(aResult([0, 0, 0], count), aResult([0, 0, 0], count))).toBe('same');
});

test('what a path differs from itself is noise to every other', () => {
  const check = aResult([1.04, 1.04, 1.04], { section: 'self-check', name: 'one pair / the same again' });
  const old = aResult([1, 1, 1]);
  const fresh = aResult([0.97, 0.97, 0.97]);
  expect(verdictOf(old, fresh)).toBe('worse');
  expect(verdictOf(old, fresh, { results: [fresh, check] })).toBe('same');
  const both = (values: readonly number[]) => aReport({ results: [aResult(values, { section: 'self-check' })] });
  expect(compareReports(both([1, 1]), both([1.2, 1.2])).differences[0]?.verdict).toBe('same');
});

test('a test that was checked is judged by its own check, and another one by all', () => {
  const check = (what: string, value: number) => {
    return aResult([value, value], { section: 'self-check', name: 'one pair / the same again', what });
  };
  const results = (ratio: number) => ['crr, 8 connections', 'udp_rr'].map((what) => aResult([ratio, ratio], { what }));
  const before = aReport({ results: [...results(1), check('crr', 1), check('stream', 0.9)] });
  const after = aReport({ results: [...results(0.95), check('crr', 1.01), check('stream', 1)] });
  const compared = compareReports(before, after).differences.filter(({ section }) => section !== 'self-check');
  expect(compared.map(({ what, verdict }) => [what, verdict])).toEqual([
    ['crr, 8 connections', 'worse'],
    ['udp_rr', 'same'],
  ]);
});

test('gigabits a second are better when more, and say nothing of another machine', () => {
  const rate = (value: number) => aResult([value, value], { unit: 'Gb/s', what: 'stream' });
  expect(verdictOf(rate(40), rate(50))).toBe('better');
  const { machine } = aReport();
  expect(verdictOf(rate(40), rate(50), { machine: { ...machine, processor: 'Another CPU' } })).toBeUndefined();
});

test('flat is flatter when it is nearer to 1, from either side', () => {
  const one = { goal: { kind: 'one', value: 1 } } as const;
  expect(verdictOf(aResult([0.9, 0.9], one), aResult([1.02, 1.02], one))).toBe('better');
  expect(verdictOf(aResult([1.02, 1.02], one), aResult([0.9, 0.9], one))).toBe('worse');
});

test('another machine: only ratios and counts are compared, and it says so', () => {
  const results = [aResult([1, 1]), aResult([10, 10], { unit: 'us', name: 'a time' })];
  const before = aReport({ results, times: [aTime(50)] });
  const after = { ...before, machine: { ...before.machine, processor: 'Another CPU' } };
  const { differences, notes, onlyAfter } = compareReports(before, after);
  expect(differences.map(({ unit }) => unit)).toEqual(['ratio']);
  expect(notes).toEqual([
    'not the same machine (processor A CPU and Another CPU): only ratios, shares and counts are compared',
  ]);
  expect(onlyAfter).toEqual([]);
});

test('what only one of them has is named, and so is less effort; times are compared by p50, p99 and mean', () => {
  const before = aReport({ results: [aResult([1]), aResult([1], { name: 'gone' })], times: [aTime(50)] });
  const settings = { ...before.settings, quick: false };
  const after = aReport({ results: [aResult([1]), aResult([1], { name: '  new' })], times: [aTime(60)], settings });
  const { differences, onlyBefore, onlyAfter, notes } = compareReports(before, after);
  expect([onlyBefore, onlyAfter]).toEqual([['island: gone, crr'], ['island: new, crr']]);
  expect(notes).toEqual(['one of them is of --quick, whose rounds are shorter']);
  expect(differences.map(({ name, verdict }) => [name, verdict])).toEqual([
    ['island / flat', 'same'],
    ['island, p50', 'worse'],
    ['island, p99', 'worse'],
    ['island, mean', 'worse'],
  ]);
});

test('whatever was measured: against itself nothing moved, and who was better is worse the other way round', () => {
  const values = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 1, maxLength: 30 });
  const opposite = { better: 'worse', worse: 'better', same: 'same', moved: 'moved' } as const;
  fc.assert(
    fc.property(values, values, (a, b) => {
      expect(verdictOf(aResult(a), aResult(a))).toBe('same');
      const there = verdictOf(aResult(a), aResult(b));
      expect(verdictOf(aResult(b), aResult(a))).toBe(opposite[there ?? 'moved']);
    }),
  );
});
