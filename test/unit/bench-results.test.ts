// From samples to verdicts: ratios are paired by round, and a goal is met by the median.
import { expect, test } from 'vitest';
import { SECTIONS } from '../../src/bench/goals.js';
import { type LatencySample, timesOf } from '../../src/bench/latency.js';
import type { PeerName } from '../../src/bench/peers.js';
import { pairedRatios } from '../../src/bench/ratios.js';
import { judge } from '../../src/bench/results.js';
import type { Samples } from '../../src/bench/samples.js';
import { shuffle, summarize } from '../../src/bench/statistics.js';
import type { StreamSample } from '../../src/bench/streams.js';
import type { ThroughputSample } from '../../src/bench/throughput.js';

const NONE: Samples = { latency: [], streams: [], packets: [], programs: [], memory: [] };

const UNTROUBLED = { errors: 0, retransmits: 0, synRetransmits: 0, resetsSent: 0, connectionsReset: 0 };

function rr(peer: PeerName, times: readonly number[], facts: Partial<LatencySample> = {}): LatencySample[] {
  const rest = { test: 'rr', perSecond: 0, count: 1, ...UNTROUBLED } as const;
  return times.map((time, index) => ({
    ...rest,
    peer,
    round: index + 1,
    ...{ mean: time, p50: time, p90: time, p99: time, p999: time },
    ...facts,
  }));
}

function streams(peer: PeerName, rates: readonly number[], facts: Partial<StreamSample> = {}): StreamSample[] {
  return rates.map((gigabitsPerSecond, index) => {
    return { ...UNTROUBLED, peer, flows: 1, round: index + 1, gigabitsPerSecond, ...facts };
  });
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
    [...SECTIONS.filter((section) => section !== 'programs'), 'self-check'].toSorted(),
  );
});

test('a run with errors is counted as troubled', () => {
  const latency = rr('raw', [10, 12]).map((sample) => ({ ...sample, errors: sample.round === 2 ? 3 : 0 }));
  const peer = { name: 'raw', title: 'a pair', client: '', server: { netns: '', address: '' } } as const;
  expect(timesOf(latency, [peer])).toMatchObject([{ path: peer.name, test: 'rr', troubled: 1, p50: { median: 11 } }]);
});

test('bytes a second are compared by round, and listed by path with what TCP had to do again', () => {
  const server = { retransmits: 2, synRetransmits: 0, resetsSent: 0, connectionsReset: 1 };
  const samples: Samples = {
    ...NONE,
    streams: [
      ...streams('raw', [40, 20]),
      ...streams('raw-again', [40, 20]),
      ...streams('same-node', [50, 25], { retransmits: 3, server }),
      ...streams('cross-node', [Number.NaN], { error: 'ECONNRESET' }),
      ...streams('same-node', [1], { flows: 8 }),
    ],
  };
  const results = judge(samples, ['stream']);
  const checks = results.filter(({ section }) => section === 'self-check');
  expect(checks.find(({ what }) => what === 'stream')).toMatchObject({ met: true });
  const note = 'same-node: segments sent again 6 (client), 4 (server); connections reset 2 (server)';
  const found = (name: string) => results.find((one) => one.name.trim() === name && one.what === 'stream');
  expect(found('same-node / raw')).toMatchObject({ spread: { median: 1.25 }, goal: { value: 1.25 }, met: true, note });
  expect(found('same-node')).toMatchObject({ unit: 'Gb/s', spread: { median: 37.5 }, better: 'more', note });
  expect(found('raw')?.note).toBeUndefined();
  expect(found('raw-again')).toBeUndefined();
  expect(found('cross-node / host-host')?.note).toBe('cross-node: ECONNRESET; host-host is missing');
});

test('many connections are compared by transactions a second, and one connection by its p50', () => {
  const many = (peer: PeerName, perSecond: number) => rr(peer, [50], { flows: 8, perSecond });
  const latency = [...rr('raw', [10]), ...rr('same-node', [20]), ...many('raw', 1000), ...many('same-node', 900)];
  const results = judge({ ...NONE, latency }, ['same-node', 'parallel']);
  const found = (what: string) => results.find((one) => one.name === 'same-node / raw' && one.what === what);
  expect(found('rr')?.spread?.median).toBe(0.5);
  expect(found('rr, 8 connections')?.spread?.median).toBeCloseTo(0.9, 9);
  expect(found('rr, 64 connections')?.note).toBe('same-node is missing; raw is missing');
});

test('packets of one flow and packets that open flows are different results', () => {
  const one = { round: 1, lost: 0 } as const;
  const packets: ThroughputSample[] = [
    { ...one, peer: 'island', kind: '1 flow', nanoseconds: 500 },
    { ...one, peer: 'masquerade', kind: '1 flow', nanoseconds: 1000 },
    { ...one, peer: 'island', kind: 'new flows', nanoseconds: 2000 },
    { ...one, peer: 'masquerade', kind: 'new flows', nanoseconds: 3000, lost: 0.5 },
  ];
  const results = judge({ ...NONE, packets }, ['packets', 'new-flows']);
  const ratios = results.filter(({ name, spread }) => name === 'island / masquerade' && spread);
  expect(ratios.map(({ section, what, spread }) => [section, what, spread?.median])).toEqual([
    ['packets', '1 flow', 2],
    ['new-flows', 'new flows', 1.5],
  ]);
  expect(results.find(({ name, what }) => /^ {2}masquerade/.test(name) && what === 'new flows')).toMatchObject({
    section: 'new-flows',
    note: "up to 50.00 % of a run's packets were lost",
  });
});

test('times of many connections have their number, and both ends are counted', () => {
  const server = { retransmits: 5, synRetransmits: 0, resetsSent: 2, connectionsReset: 0 };
  const latency = [...rr('raw', [10]), ...rr('raw', [90], { flows: 8, resetsSent: 1, server })];
  const peer = { name: 'raw', title: 'a pair' } as const;
  const [alone, together] = timesOf(latency, [peer]);
  expect(alone).not.toHaveProperty('size');
  expect(alone).not.toHaveProperty('resets');
  expect(together).toMatchObject({ size: { of: 'connections', count: 8 }, serverRetransmits: 5, resets: 3 });
});
