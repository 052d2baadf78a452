// docs/rfc.md: made of requirements and a report, and what is said to be wrong with either.
import { describe, expect, test } from 'vitest';
import { DOCUMENTS, type Requirement } from '../netns/rfc/requirements.js';
import { makeRfcPage, type TestReport } from '../support/rfc-page.js';

const FILE = '/somewhere/test/netns/rfc/one.test.ts';

function page(requirements: readonly Requirement[], tests: readonly (readonly [string, string])[], file = FILE) {
  const report: TestReport = {
    testResults: [{ name: file, assertionResults: tests.map(([title, status]) => ({ title, status })) }],
  };
  return makeRfcPage([{ rfc: '1', title: 'One', requirements }], report);
}

const must: Requirement = { id: '0001-1', level: 'MUST', text: 'It works' };
const row = (text: string, id: string): string => text.split('\n').find((line) => line.startsWith(`| ${id} |`)) ?? '';

describe('a row', () => {
  test('passes when all tests of its name do, and names each once', () => {
    const { text, problems } = page(
      [must],
      [
        ['0001-1: with IPv4 and IPv6', 'passed'],
        ['0001-1: with IPv4 and IPv6', 'passed'],
        ['0001-1: twice', 'passed'],
      ],
    );
    expect(problems).toEqual([]);
    expect(row(text, '0001-1')).toBe(
      '| 0001-1 | It works | MUST | pass | [one](../test/netns/rfc/one.test.ts): with IPv4 and IPv6<br>[one](../test/netns/rfc/one.test.ts): twice |',
    );
  });

  test('says why it deviates, does not apply, or what is to be known', () => {
    const tests = [['0001-1: is so', 'passed']] as const;
    expect(row(page([{ ...must, deviation: 'because' }], tests).text, '0001-1')).toContain('| **deviates**: because |');
    expect(row(page([{ ...must, notApplicable: 'none' }], tests).text, '0001-1')).toContain('| not applicable: none |');
    expect(row(page([{ ...must, remark: 'slowly' }], tests).text, '0001-1')).toContain('| pass; slowly |');
  });

  test('is the same for the same run, with files in any order', () => {
    const results = ['b', 'a'].map((name) => ({
      name: `/x/test/netns/rfc/${name}.test.ts`,
      assertionResults: [{ title: `0001-1: ${name}`, status: 'passed' }],
    }));
    const documents = [{ rfc: '1', title: 'One', requirements: [must] }];
    const [one, other] = [results, [...results].reverse()].map((testResults) =>
      makeRfcPage(documents, { testResults }),
    );
    expect(one?.text).toBe(other?.text);
  });
});

describe('a run is refused', () => {
  test.each([
    ['when a requirement has no test', [must], [], '0001-1: no test has its name'],
    [
      'when a test names no requirement',
      [],
      [['0001-9: x', 'passed']],
      "test/netns/rfc/one.test.ts: '0001-9: x' names 0001-9, which is no requirement",
    ],
    [
      'when a test has no id',
      [],
      [['it works', 'passed']],
      "test/netns/rfc/one.test.ts: 'it works' does not begin with a requirement",
    ],
    ['when a MUST fails', [must], [['0001-1: x', 'failed']], '0001-1: a MUST fails, and no deviation says why'],
    [
      'when one of two tests fails',
      [must],
      [
        ['0001-1: x', 'passed'],
        ['0001-1: y', 'failed'],
      ],
      '0001-1: a MUST fails, and no deviation says why',
    ],
    [
      'when a SHOULD fails without a reason',
      [{ ...must, level: 'SHOULD' }],
      [['0001-1: x', 'failed']],
      '0001-1: its test fails',
    ],
    [
      'when a deviation is not what happens',
      [{ ...must, deviation: 'y' }],
      [['0001-1: x', 'failed']],
      '0001-1: what is said to happen instead does not',
    ],
    ['when a test was skipped', [must], [['0001-1: x', 'pending']], '0001-1: its test was skipped'],
  ] as const)('%s', (_, requirements, tests, problem) => {
    expect(page(requirements, tests).problems).toEqual([problem]);
  });

  test('but not by tests of other folders', () => {
    const { problems } = page([], [['whatever', 'passed']], '/x/test/netns/agent-cni.test.ts');
    expect(problems).toEqual([]);
  });
});

test('every requirement has an id of its own, that begins with its RFC or one that it speaks for', () => {
  const ids = DOCUMENTS.flatMap(({ requirements }) => requirements.map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  for (const { rfc, requirements } of DOCUMENTS)
    for (const { id } of requirements) expect(id).toMatch(new RegExp(`^${rfc}-`));
});
