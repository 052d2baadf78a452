// The guard: what counts as a regression of the programs, and what is the machine's noise or another machine.
import { expect, test } from 'vitest';
import type { GuardFigures } from '../../src/bench/guard/file.js';
import { judgeInstructions, judgeRatios, suspects } from '../../src/bench/guard/judge.js';

const FILE: GuardFigures = {
  apiVersion: 'isthmus.dev/v1',
  kind: 'BenchGuard',
  kernel: '6.18',
  compiler: 'clang 19',
  processor: 'A CPU',
  instructions: { 'island from_container': 800_000, 'flat connect4': 1000 },
  ratios: { 'same node': 3, 'island ipv4, to outside': 5 },
};

const found = (facts: Partial<GuardFigures>): GuardFigures => ({ ...FILE, ...facts });
const failures = (checks: ReturnType<typeof judgeRatios>) =>
  checks.filter(({ result }) => result === 'failed').map(({ name }) => name);

test('what is as committed, or better, passes', () => {
  const checks = [...judgeInstructions(FILE, FILE), ...judgeRatios(FILE, FILE)];
  expect(checks.map(({ result }) => result)).toEqual(['passed', 'passed', 'passed', 'passed']);
  const better = found({ ratios: { 'same node': 2, 'island ipv4, to outside': 4 } });
  expect(failures(judgeRatios(FILE, better))).toEqual([]);
});

test('a tenth more than committed is a regression, of instructions and of ratios; less is not', () => {
  const instructions = { 'island from_container': 870_000, 'flat connect4': 1101 };
  expect(failures(judgeInstructions(FILE, found({ instructions })))).toEqual(['flat connect4, verified instructions']);
  const ratios = { 'same node': 3.29, 'island ipv4, to outside': 5.51 };
  const [slow] = judgeRatios(FILE, found({ ratios }));
  expect(slow).toEqual({
    name: 'island ipv4, to outside, to an empty program',
    result: 'failed',
    said:
      '5.00 -> 5.51, and at most 5.50 is no regression; if that is meant, commit what npm run bench:guard -- --renew ' +
      'writes',
  });
  expect(failures(judgeRatios(FILE, found({ ratios })))).toHaveLength(1);
});

test('near to the million that a kernel walks, less than a tenth is too much', () => {
  const file = found({ instructions: { 'island from_container': 900_000 } });
  const at = (count: number) => judgeInstructions(file, found({ instructions: { 'island from_container': count } }));
  expect([failures(at(949_000)).length, failures(at(951_000)).length]).toEqual([0, 1]);
});

test('another kernel or compiler skips instructions with the reason; another processor widens ratios', () => {
  expect(judgeInstructions(FILE, found({ kernel: '6.1', compiler: 'clang 14' }))).toEqual([
    {
      name: 'verified instructions',
      result: 'skipped',
      said: 'the kernel is 6.1 and not 6.18, and the compiler is clang 14 and not clang 19',
    },
  ]);
  const elsewhere = found({ processor: 'Another', kernel: '6.1', ratios: { ...FILE.ratios, 'same node': 3.6 } });
  expect([failures(judgeRatios(FILE, elsewhere)), suspects(FILE, elsewhere)]).toEqual([[], []]);
  expect(suspects(FILE, { ...elsewhere, ratios: { 'same node': 4 } })).toEqual(['same node']);
});

test('a path or a program that is in one of them only has to be committed', () => {
  const more = found({ ratios: { ...FILE.ratios, 'a new path': 2 }, instructions: { 'flat connect4': 1000 } });
  expect(failures(judgeRatios(FILE, more))).toEqual(['a new path, to an empty program']);
  expect(failures(judgeInstructions(FILE, more))).toEqual(['island from_container, verified instructions']);
  expect(suspects(FILE, more)).toEqual([]);
});
