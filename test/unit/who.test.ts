// A month of a busy node, and a million questions about it.
import { expect, test } from 'vitest';
import { measureHistory } from '../../src/bench/nat/history.js';
import { createTemporaryDirectory } from '../support/grants.js';

const QUESTIONS = 1_000_000;
const MOST_MICROSECONDS = 50;

/** The same numbers in every run. */
function createDraw(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test(`a month is recorded, and ${QUESTIONS} questions about it are answered right and quickly`, async () => {
  using dir = createTemporaryDirectory();
  const { signal } = new AbortController();
  const found = await measureHistory({ directory: dir.path, questions: QUESTIONS, signal, draw: createDraw(1) });
  console.log(
    `${found.pods} pods in ${found.days} days: journal of ${found.bytes} bytes in ${found.segments} segments, ` +
      `read in ${found.readMs.toFixed(0)} ms, ${found.microseconds.toFixed(2)} µs a question, ` +
      `${found.owned} of ${QUESTIONS} owned`,
  );
  expect(found.right).toBe(QUESTIONS);
  expect(found.pods).toBeGreaterThan(1000);
  expect(found.owned).toBeGreaterThan(QUESTIONS / 2);
  expect(found.microseconds).toBeLessThan(MOST_MICROSECONDS);
}, 300_000);
