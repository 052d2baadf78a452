// Tasks of one name never overlap; others do not wait, and nobody waits for ever.
import { expect, test } from 'vitest';
import { Turns } from '../../src/agent/turns.js';

/** A task that ends when it is told to. */
function held(log: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const task = async (): Promise<string> => {
    log.push(`${name} begins`);
    try {
      return await promise;
    } finally {
      log.push(`${name} ends`);
    }
  };
  return { task, end: () => resolve(name), fail: () => reject(new Error(`${name} failed`)) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a task waits for those of its own name only', async () => {
  const log: string[] = [];
  const turns = new Turns();
  const [first, second, other] = ['first', 'second', 'other'].map((name) => held(log, name));
  if (!first || !second || !other) throw new Error('three tasks');
  const ends = [turns.take('a', first.task), turns.take('a', second.task), turns.take('b', other.task)];
  await settle();
  expect(log).toEqual(['first begins', 'other begins']);
  second.end();
  other.end();
  await settle();
  expect(log).toEqual(['first begins', 'other begins', 'other ends']);
  first.end();
  expect(await Promise.all(ends)).toEqual(['first', 'second', 'other']);
  expect(log.slice(3)).toEqual(['first ends', 'second begins', 'second ends']);
});

test('a task that fails is no reason not to run the next, and only its own caller hears of it', async () => {
  const log: string[] = [];
  const turns = new Turns();
  const first = held(log, 'first');
  const second = held(log, 'second');
  const failing = turns.take('a', first.task);
  const next = turns.take('a', second.task);
  first.fail();
  second.end();
  await expect(failing).rejects.toThrow('first failed');
  expect(await next).toBe('second');
});

test('idle waits for all, also for those that came meanwhile', async () => {
  const log: string[] = [];
  const turns = new Turns();
  const first = held(log, 'first');
  const second = held(log, 'second');
  void turns.take('a', first.task);
  const idle = turns.idle().then(() => log.push('idle'));
  first.end();
  void turns.take('b', second.task);
  await settle();
  expect(log).not.toContain('idle');
  second.end();
  await idle;
  expect(log.at(-1)).toBe('idle');
  await turns.idle();
});
