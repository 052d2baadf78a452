// What can wait is done bit by bit, and never while a request is carried out.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { QuietWork } from '../../src/agent/quiet-work.js';

let left: number;
let log: string[];
let refusal: string;
let work: QuietWork;

beforeEach(() => {
  vi.useFakeTimers();
  left = 0;
  log = [];
  refusal = '';
  work = new QuietWork({ step, onDone: () => void log.push('done'), onRefused: (reason) => void log.push(reason) });
});

afterEach(() => {
  work.close();
  vi.useRealTimers();
});

function step(): boolean {
  if (refusal !== '') throw new Error(refusal);
  if (left === 0) return false;
  left--;
  log.push('step');
  return true;
}

const ask = (bits: number) =>
  work.beside(async () => {
    left += bits;
    return 'answer';
  });

test('bits are done one at a time when a request has ended, and the end is told once', async () => {
  expect(await ask(2)).toBe('answer');
  expect(log).toEqual([]);
  await vi.advanceTimersToNextTimerAsync();
  expect(log).toEqual(['step']);
  await vi.runAllTimersAsync();
  expect(log).toEqual(['step', 'step', 'done']);
  await ask(0);
  await vi.runAllTimersAsync();
  expect(log).toEqual(['step', 'step', 'done']);
});

test('nothing is done while a request lasts, nor when another one came meanwhile', async () => {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  left = 1;
  const ends = [work.beside(() => first.promise), work.beside(() => second.promise)];
  await vi.advanceTimersByTimeAsync(60_000);
  first.resolve();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(log).toEqual([]);
  second.reject(new Error('it failed'));
  expect((await Promise.allSettled(ends)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  await vi.runAllTimersAsync();
  expect(log).toEqual(['step', 'done']);
});

test('a request between two bits makes the next one wait', async () => {
  await ask(2);
  await vi.advanceTimersToNextTimerAsync();
  const held = Promise.withResolvers<void>();
  const end = work.beside(() => held.promise);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(log).toEqual(['step']);
  held.resolve();
  await end;
  await vi.runAllTimersAsync();
  expect(log).toEqual(['step', 'step', 'done']);
});

test('what is refused is said once, and tried again', async () => {
  refusal = 'no room';
  await ask(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(log).toEqual(['no room']);
  refusal = '';
  await vi.runAllTimersAsync();
  expect(log).toEqual(['no room', 'step', 'done']);
});

test('nothing is done after the end', async () => {
  await ask(1);
  work.close();
  await vi.runAllTimersAsync();
  await ask(1);
  await vi.runAllTimersAsync();
  expect(log).toEqual([]);
});
