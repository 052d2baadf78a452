// The benchmark of Services: verdicts follow from samples, and what is computed is right.
import { expect, test } from 'vitest';
import { allNamespaces } from '../../src/bench/plan.js';
import { SERVICE_GOALS, SERVICE_SECTIONS, SIZES } from '../../src/bench/service/goals.js';
import type { ServiceLatencySample, ServicePeer } from '../../src/bench/service/latency.js';
import { measureMaglev } from '../../src/bench/service/maglev.js';
import { serviceManifests, sliceManifest } from '../../src/bench/service/manifests.js';
import { planServiceBench } from '../../src/bench/service/plan.js';
import type { ProgrammingSamples } from '../../src/bench/service/programming.js';
import { judgeServices } from '../../src/bench/service/results.js';
import { percentile } from '../../src/bench/service/results-programming.js';
import type { ServiceResult, ServiceSamples } from '../../src/bench/service/samples.js';
import { listServices, ownService } from '../../src/bench/service/services.js';
import { convert } from '../../src/source/convert.js';

const NONE: ServiceSamples = {
  maglev: [],
  programs: [],
  latency: [],
  sharedBackend: [],
  replacement: [],
  nodePort: [],
};

const find = (results: readonly ServiceResult[], name: string, what?: string): ServiceResult => {
  const found = results.filter((one) => one.name.trim() === name && (what === undefined || one.what === what));
  if (found.length !== 1) throw new Error(`${found.length} results are '${name}' of '${what}'`);
  return found[0] as ServiceResult;
};

/** Three rounds on a machine that gets slower: only pairs tell the truth. */
function connections(services: number, times: Partial<Record<ServicePeer, number>>): ServiceLatencySample[] {
  return [1, 2, 3].flatMap((round) =>
    Object.entries(times).map(
      ([peer, time]): ServiceLatencySample => ({
        peer: peer as ServicePeer,
        test: 'crr',
        services,
        round,
        perSecond: 1e6 / (time * round),
        mean: time * round,
        p50: time * round,
        p90: time * round,
        p99: time * round,
        p999: time * round,
        count: 1000,
        errors: 0,
        retransmits: 0,
        synRetransmits: 0,
        resetsSent: 0,
        connectionsReset: 0,
      }),
    ),
  );
}

test('goals by size: the packet path against netfilter, both paths against the pod itself', () => {
  const latency = [
    ...connections(10, {
      direct: 20,
      'direct-again': 20,
      socket: 20.05,
      packet: 21,
      nftables: 28,
      'iptables-legacy': 28,
    }),
    ...connections(5000, { direct: 20, socket: 20.05, packet: 21.6, 'iptables-legacy': 33, 'iptables-nft': 46 }),
  ];
  const results = judgeServices({ ...NONE, latency }, ['latency']);
  const met = (name: string, services: number) => find(results, name, `crr, ${services} Services`).met;
  expect([met('socket / direct', 10), met('packet / direct', 10), met('packet / direct', 5000)]).toEqual([
    true,
    true,
    false,
  ]);
  expect(find(results, 'packet / iptables-legacy', 'crr, 10 Services')).toMatchObject({
    goal: { value: 1.31 },
    met: true,
  });
  expect(find(results, 'packet / iptables-legacy', 'crr, 5000 Services')).toMatchObject({
    goal: { value: 1.61 },
    met: false,
  });
  expect(met('packet / iptables-nft', 5000)).toBe(true);
  expect(met('packet / nftables', 10)).toBe(true);
  expect(find(results, 'socket / iptables-legacy', 'crr, 10 Services').goal).toBeUndefined();
  expect(results.filter(({ section }) => section === 'self-check').map((one) => one.met)).toEqual([true]);
});

test('a path is flat when its ratio to the pod itself stays the same, whatever the times are', () => {
  const latency = [
    ...connections(10, { direct: 20, packet: 21, socket: 20 }),
    ...connections(30_000, { direct: 40, packet: 42.1, socket: 41 }),
  ];
  const results = judgeServices({ ...NONE, latency }, ['latency']);
  const what = 'crr, 30000 Services';
  expect(find(results, 'packet / the same with 10 Services', what).met).toBe(true);
  expect(find(results, 'socket / the same with 10 Services', what).met).toBe(false);
  expect(find(results, 'a connection above the pod itself, packet', 'crr, 10 Services').spread?.median).toBe(2);
});

test('a peer that has no transaction is named with the reason', () => {
  const latency = connections(10, { direct: 20, packet: 21, nftables: Number.NaN }).map((sample) =>
    sample.peer === 'nftables' ? { ...sample, error: 'Connection refused' } : sample,
  );
  const result = find(judgeServices({ ...NONE, latency }, ['latency']), 'packet / nftables');
  expect(result).toMatchObject({ note: 'nftables: Connection refused' });
  expect(result.spread).toBeUndefined();
});

const fill = { services: 5000, backends: 3, converted: 300, compiled: 100, written: 100, entries: 20_000 };
const programming: ProgrammingSamples = {
  fills: [1, 2, 3].map((round) => ({ ...fill, round, kernel: 10 * round, mapBytes: 2e6, rssBytes: 1e8 })),
  tools: [1, 2, 3].map((round) => ({
    peer: 'iptables-legacy',
    services: 5000,
    backends: 3,
    round,
    full: 520 * round,
    change: 300,
  })),
  changes: [
    {
      services: 5000,
      backends: 3,
      round: 1,
      changes: Array.from({ length: 200 }, (_, index) => ({ total: index < 197 ? 1 : 7, kernel: 20 })),
    },
  ],
  agent: [],
};

test('programming: the kernel by iptables-legacy-restore, a change by its p99, memory by backends', () => {
  const results = judgeServices({ ...NONE, programming }, ['programming']);
  expect(find(results, 'from nothing, in the kernel, ours / iptables-legacy')).toMatchObject({
    spread: { median: 52 },
    goal: { value: SERVICE_GOALS.programming },
    met: true,
  });
  expect(find(results, 'from nothing, compiled to written, ours / iptables-legacy').met).toBeUndefined();
  expect(find(results, 'one endpoint changes, in the kernel').met).toBe(true);
  expect(find(results, 'object to written, p99')).toMatchObject({ spread: { median: 7 }, met: false });
  expect(find(results, 'kernel memory for 100 000 backends').spread?.median).toBeCloseTo(13.33);
});

test('a percentile is a value that was measured', () => {
  const changes = Array.from({ length: 100 }, (_, index) => ({ total: index + 1, kernel: 0 }));
  expect(percentile(changes, 0.99)).toBeCloseTo(99);
  expect(percentile(changes.slice(0, 1), 0.99)).toBeCloseTo(1);
});

test('failures are judged by the sum of all runs', () => {
  const run = { path: 'packet', changes: 5, connections: 100, requests: 100, errors: 0, p99: 50 } as const;
  const replacement = [1, 2, 3].map((round) => ({ ...run, round, synRetransmits: round === 3 ? 1 : 0 }));
  const result = find(
    judgeServices({ ...NONE, replacement }, ['replacement']),
    'failed or SYN sent again in a run, packet',
  );
  expect(result).toMatchObject({ spread: { median: 0 }, met: false, note: '1 in 300 connections' });
});

test('node ports: packets a second by paired times, and why there are none', () => {
  const load = 'SYN' as const;
  const nodePort = [1, 2].flatMap((round) => [
    { peer: 'ours' as const, load, round, nanoseconds: 400 * round, lost: 0, attached: 'from_netdev by tcx' },
    { peer: 'iptables-legacy' as const, load, round, nanoseconds: 1000 * round, lost: 0 },
    { peer: 'nftables' as const, load, round, nanoseconds: Number.NaN, lost: 1, error: 'the node refused 9 packets' },
  ]);
  const results = judgeServices({ ...NONE, nodePort }, ['node-port']);
  expect(find(results, 'packets a second, ours / iptables-legacy')).toMatchObject({
    spread: { median: 2.5 },
    met: true,
  });
  expect(find(results, 'a packet, nftables, sender and sink included')).toMatchObject({
    note: 'the node refused 9 packets',
  });
});

test('Maglev: shares are even, and what stays moves little', () => {
  const samples = measureMaglev();
  expect(samples.map(({ backends }) => backends)).toEqual([3, 10, 100, 1000]);
  for (const { backends, unevenness, disruption } of samples) {
    expect(unevenness).toBeGreaterThanOrEqual(1);
    expect(unevenness).toBeLessThanOrEqual(1 + backends / 15_000);
    expect(disruption).toBeLessThan(0.05);
    expect(disruption).toBeGreaterThan(0);
  }
});

test('manifests are what the agent reads', () => {
  const service = ownService(0, { name: 'web', nodePort: 30_080, backends: [{ address: '10.244.1.2', port: 8080 }] });
  const [read, slice] = serviceManifests(service).map((manifest) => convert(manifest)?.object);
  expect(read).toMatchObject({ clusterIPs: [service.clusterIP], ports: [{ port: 80, nodePort: 30_080 }] });
  expect(slice).toMatchObject({ backends: { 'http/TCP': [{ address: '10.244.1.2', port: 8080, ready: true }] } });
  const many = listServices({ count: 2, backends: 10 }).map(sliceManifest);
  expect(many.map(({ endpoints }) => (endpoints as unknown[]).length)).toEqual([10, 10]);
});

test('the plan has names of its own, and the sections their order', () => {
  const names = allNamespaces(planServiceBench());
  expect(new Set(names).size).toBe(names.length);
  expect(names.every((name) => name.startsWith('ist-bench-'))).toBe(true);
  expect(SERVICE_SECTIONS).toContain('latency');
  expect(SIZES).toEqual([10, 1000, 5000, 10_000, 30_000]);
});
