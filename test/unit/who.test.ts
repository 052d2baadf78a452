// A month of a busy node, and a million questions about it.
import { expect, test } from 'vitest';
import { Journal } from '../../src/agent/journal.js';
import { openJournal } from '../../src/api/journal-reader.js';
import type { BlockGrant } from '../../src/model/block-grant.js';
import { aGrant, BLOCK_SIZE, createTemporaryDirectory, firstPort, OUTSIDE } from '../support/grants.js';

const START = Date.parse('2026-10-01T00:00:00.000Z');
const HOUR = 3_600_000;
const HOURS = 30 * 24;
const BLOCKS = 112;
const REPLACED_AN_HOUR = 6;
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

interface Span {
  readonly name: string;
  readonly from: number;
  to: number;
}

/** Every hour some pods end, and a few minutes later others have their blocks. Returns what happened, by block. */
function live(directory: string, draw: (below: number) => number): { spans: Span[][]; pods: number } {
  let now = START;
  const journal = new Journal({ directory, maxBytes: 1 << 26, maxAgeDays: 36_500, now: () => now });
  const spans: Span[][] = Array.from({ length: BLOCKS }, () => []);
  const grants = new Map<number, BlockGrant>();
  let pods = 0;
  const give = (block: number): void => {
    const name = `pod-${pods++}`;
    grants.set(block, aGrant(block, name));
    spans[block]?.push({ name, from: now, to: Infinity });
  };
  for (let block = 1; block < BLOCKS; block++) give(block);
  journal.grant([...grants.values()]);
  for (let hour = 1; hour <= HOURS; hour++) {
    now = START + hour * HOUR + draw(HOUR / 2);
    const ending = new Set(Array.from({ length: REPLACED_AN_HOUR }, () => 1 + draw(BLOCKS - 1)));
    for (const block of ending) {
      grants.delete(block);
      const span = spans[block]?.at(-1);
      if (span !== undefined) span.to = now;
    }
    journal.releaseOthers([...grants.values()]);
    now += 120_000 + draw(600_000);
    for (const block of ending) give(block);
    journal.grant([...grants.values()]);
  }
  journal.close();
  return { spans, pods };
}

test(`a month is recorded, and ${QUESTIONS} questions about it are answered right and quickly`, () => {
  using dir = createTemporaryDirectory();
  const draw = createDraw(1);
  const { spans, pods } = live(dir.path, draw);
  const opening = performance.now();
  const journal = openJournal(dir.path);
  const opened = performance.now() - opening;
  let wrong = 0;
  let owned = 0;
  let spent = 0;
  for (let count = 0; count < QUESTIONS; count++) {
    const port = firstPort(0) + draw(BLOCKS * BLOCK_SIZE);
    const time = START - HOUR + draw(HOURS * HOUR + 2 * HOUR);
    const begin = performance.now();
    const found = journal.grantAt({ address: OUTSIDE, port }, time);
    spent += performance.now() - begin;
    const block = Math.floor((port - firstPort(0)) / BLOCK_SIZE);
    const expected = (spans[block] ?? []).filter(({ from, to }) => from <= time && time <= to).map(({ name }) => name);
    owned += expected.length;
    const names = found.map(({ grant: { owner } }) => (owner.kind === 'Pod' ? owner.name : ''));
    if (names.join() !== expected.join()) wrong++;
  }
  const microseconds = (spent / QUESTIONS) * 1000;
  console.log(
    `${pods} pods in 30 days: journal of ${journal.bytes} bytes in ${journal.segments} segments, ` +
      `read in ${opened.toFixed(0)} ms, ${microseconds.toFixed(2)} µs a question, ${owned} of ${QUESTIONS} owned`,
  );
  expect(wrong).toBe(0);
  expect(pods).toBeGreaterThan(1000);
  expect(owned).toBeGreaterThan(QUESTIONS / 2);
  expect(microseconds).toBeLessThan(MOST_MICROSECONDS);
}, 300_000);
