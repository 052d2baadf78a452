// Requests of CNI plugins to results: percentiles of a round, goals, and ratios that are paired by round.
import { expect, test } from 'vitest';
import type { CniSample } from '../../src/bench/cni/request.js';
import { judgeCni } from '../../src/bench/cni/results.js';

function sample(peer: CniSample['peer'], round: number, milliseconds: number[]): CniSample {
  return { peer, section: 'together', command: 'ADD', round, milliseconds };
}

/** Evenly from 1 to `last`. */
function upTo(last: number): number[] {
  return Array.from({ length: 21 }, (_, index) => 1 + ((last - 1) * index) / 20);
}

function resultOf(requests: readonly CniSample[], name: string) {
  const result = judgeCni({ requests }, ['together']).find((one) => one.name === name);
  if (result === undefined) throw new Error(`no result ${name}`);
  return result;
}

test('the half and the slowest of a round, and the median of all rounds', () => {
  const requests = [9, 19, 29].map((last, round) => sample('isthmus', round, upTo(last)));
  expect(resultOf(requests, 'ADD, p50').spread?.median).toBe(10);
  expect(resultOf(requests, 'ADD, p99').spread?.median).toBeCloseTo(18.82, 2);
});

test('goals are for adding', () => {
  const requests = [sample('isthmus', 1, [14, 14]), sample('isthmus', 2, [14, 60])];
  expect(resultOf(requests, 'ADD, p50')).toMatchObject({ goal: { kind: 'at-most', value: 15 }, met: false });
  expect(resultOf(requests, 'ADD, p99')).toMatchObject({ goal: { kind: 'at-most', value: 50 }, met: true });
  const deleted = requests.map((one) => ({ ...one, command: 'DEL' as const }));
  expect(resultOf(deleted, 'DEL, p50').goal).toBeUndefined();
});

test('ratios compare the same round', () => {
  const requests = [
    ...[sample('isthmus', 1, [10]), sample('bridge', 1, [30])],
    ...[sample('bridge', 2, [100]), sample('isthmus', 2, [50])],
  ];
  expect(resultOf(requests, 'ADD, bridge / isthmus').spread).toMatchObject({ median: 2.5, low: 2.25, high: 2.75 });
  expect(resultOf(requests, 'ADD, p50').note).toBe('bridge 65.0 ms');
});

test('who is missing is said', () => {
  expect(resultOf([sample('isthmus', 1, [10])], 'ADD, bridge / isthmus').note).toBe('bridge is missing');
  expect(resultOf([], 'ADD, p50').note).toBe('nothing was measured');
});
