// From samples to verdicts: ratios are paired by round, and a goal is met by the median.
import { expect, test } from 'vitest';
import { SECTIONS } from '../../src/bench/goals.js';
import { type LatencySample, timesOf } from '../../src/bench/latency.js';
import { judge, pairedRatios } from '../../src/bench/results.js';
import type { Samples } from '../../src/bench/samples.js';
import { shuffle, summarize } from '../../src/bench/statistics.js';

const NONE: Samples = { latency: [], streams: [], packets: [], programs: [], memory: [] };

function rr(peer: LatencySample['peer'], times: readonly number[]): LatencySample[] {
  const rest = { test: 'rr', perSecond: 0, count: 1, errors: 0, retransmits: 0, synRetransmits: 0 } as const;
  return times.map((time, index) => ({
    ...rest,
    peer,
    round: index + 1,
    ...{ mean: time, p50: time, p90: time, p99: time, p999: time },
  }));
}

test('the median and the quartiles of few values lie between them', () => {
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, low: 1.75, high: 3.25, count: 4 });
  expect(summarize([7])).toEqual({ median: 7, low: 7, high: 7, count: 1 });
  expect(summarize([])).toBeUndefined();
});

test('a shuffle keeps every item', () => {
  const items = Array.from({ length: 50 }, (_, index) => index);
  expect(shuffle(items).toSorted((a, b) => a - b)).toEqual(items);
});

test('a ratio is made of two runs of the same round, and a round without both has none', () => {
  const times = [
    { peer: 'raw', round: 1, time: 10 },
    { peer: 'raw', round: 2, time: 30 },
    { peer: 'raw', round: 3, time: 10 },
    { peer: 'island', round: 2, time: 40 },
    { peer: 'island', round: 1, time: 20 },
    { peer: 'island', round: 3, time: Number.NaN },
  ];
  expect(pairedRatios(times, { subject: 'island', reference: 'raw' })).toEqual([0.5, 0.75]);
});

test('a goal is met when the median reaches it, whatever single rounds did', () => {
  const raw = [...rr('raw', [10, 10, 10]), ...rr('raw-again', [10, 10, 10])];
  const resultOf = (times: readonly number[]) =>
    judge({ ...NONE, latency: [...raw, ...rr('same-node', times)] }, ['same-node'])[2];
  expect(resultOf([10, 10.2, 20])).toMatchObject({ name: 'same-node / raw', met: true, goal: { value: 0.96 } });
  expect(resultOf([10, 10.6, 10.6])).toMatchObject({ met: false });
});

test('self-checks come first, and fail when one pair differs from itself', () => {
  const resultOf = (again: readonly number[]) =>
    judge({ ...NONE, latency: [...rr('raw', [10, 10, 10]), ...rr('raw-again', again)] }, ['same-node'])[0];
  expect(resultOf([10.2, 9.9, 10])).toMatchObject({ section: 'self-check', met: true });
  expect(resultOf([10.5, 10.4, 10.5])).toMatchObject({ section: 'self-check', met: false });
});

test('what could not be measured is there with its reason and without a verdict', () => {
  const failed = rr('masquerade', [Number.NaN]).map((sample) => ({ ...sample, error: 'ECONNREFUSED' }));
  const results = judge({ ...NONE, latency: [...rr('island', [10]), ...failed] }, ['masquerade', 'packets', 'memory']);
  const compared = results.filter(({ section }) => section !== 'self-check');
  expect(compared.map(({ name, what, note, met }) => ({ name, what, note, met }))).toContainEqual({
    name: 'island / masquerade',
    what: 'rr',
    note: 'masquerade: ECONNREFUSED',
    met: undefined,
  });
  expect(compared.every(({ met, spread, note }) => met === undefined && spread === undefined && note)).toBe(true);
});

test('a stream is judged by its speed, round by round, and says both speeds', () => {
  const run = (peer: 'same-node' | 'raw') => (gigabitsPerSecond: number, index: number) => {
    return { peer, round: index + 1, gigabitsPerSecond, retransmits: 0 };
  };
  const streams = [...[60, 70, 65].map(run('same-node')), ...[50, 50, 52].map(run('raw'))];
  const [, , , result] = judge({ ...NONE, streams }, ['stream']);
  expect(result).toMatchObject({ name: 'same-node / raw', met: true, note: '65.0 / 50.0 Gb/s' });
  expect(result?.spread?.median).toBeCloseTo(1.25, 9);
});

test('programs are judged by nanoseconds, and the largest agent by its memory', () => {
  const programs = [{ name: 'island, to outside', net: [54, 56, 54.5], empty: [14, 14, 14] }];
  const memory = [90e6, 131e6, 92e6].map((rssBytes, index) => ({ node: `n${index}`, rssBytes, age: 20 }));
  const results = judge({ ...NONE, programs, memory }, ['programs', 'memory']);
  expect(results.map(({ unit, spread, met }) => [unit, spread?.median, met])).toEqual([
    ['ns', 54.5, true],
    ['MB', 92, false],
  ]);
});

test('every section has something to say, also about nothing', () => {
  const said = new Set(judge(NONE, SECTIONS).map(({ section }) => section));
  expect([...said].toSorted()).toEqual(
    ['cross-node', 'ipv6', 'island', 'masquerade', 'memory', 'packets', 'same-node', 'self-check', 'stream'].toSorted(),
  );
});

test('a run with errors is counted as troubled', () => {
  const latency = rr('raw', [10, 12]).map((sample) => ({ ...sample, errors: sample.round === 2 ? 3 : 0 }));
  const peer = { name: 'raw', title: 'a pair', client: '', server: { netns: '', address: '' } } as const;
  expect(timesOf(latency, [peer])).toMatchObject([{ path: peer.name, test: 'rr', troubled: 1, p50: { median: 11 } }]);
});
