// K43 K44: the text that Prometheus reads, and which changes are counted and timed.
import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/agent/changes.js';
import { type MetricSources, Metrics } from '../../src/agent/metrics.js';
import type { Trigger } from '../../src/model/service.js';
import { aService, aSlice, aSnapshot } from '../support/objects.js';

const NOW = 1_750_000_000_000;
const NOTHING = { services: 0, slices: 0, triggers: [], since: undefined };

function open(sources: Partial<MetricSources> = {}): Metrics {
  return new Metrics({
    version: '1.2.3',
    drops: () => [],
    mapFill: () => [],
    attachments: () => [],
    endpoints: () => 0,
    services: () => 0,
    problems: () => 0,
    pending: () => NOTHING,
    ...sources,
  });
}

/** Samples by name and labels. */
async function samples(metrics: Metrics): Promise<Record<string, string>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.split(' ').at(-1) ?? '']));
}

/** Upper bounds of a histogram's buckets. */
async function bounds(metrics: Metrics, name: string): Promise<string[]> {
  const pattern = new RegExp(`^${name}_bucket{le="([^"]+)",ip_family="IPv4"} `, 'gm');
  return [...(await metrics.text()).matchAll(pattern)].map(([, bound = '']) => bound);
}

const finish = (metrics: Metrics, triggers: readonly Trigger[] = []) =>
  metrics.finish({
    batch: { ...NOTHING, triggers },
    seconds: 0.0015,
    now: NOW,
    families: ['ipv4'],
    noLocalEndpoints: [{ family: 'ipv6', policy: 'external', count: 3 }],
  });

describe("K43: kube-proxy's names", () => {
  test('buckets are its buckets', async () => {
    const metrics = open();
    finish(metrics, [{ family: 'ipv4', time: NOW }]);
    const whole = (first: number, last: number, step: number) =>
      Array.from({ length: (last - first) / step + 1 }, (_, index) => String(first + index * step));
    expect(await bounds(metrics, 'kubeproxy_network_programming_duration_seconds')).toEqual([
      ...['0.25', '0.5'],
      ...whole(1, 59, 1),
      ...whole(60, 115, 5),
      ...whole(120, 300, 30),
      '+Inf',
    ]);
    const sync = await bounds(metrics, 'kubeproxy_sync_proxy_rules_duration_seconds');
    expect([sync.length, sync[0], sync[1], sync.at(-2)]).toEqual([16, '0.001', '0.002', '16.384']);
  });

  test('a reconcile is timed for each family that is carried', async () => {
    const metrics = open();
    finish(metrics);
    const found = await samples(metrics);
    expect(found).toMatchObject({
      'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}': '1',
      'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.001",ip_family="IPv4"}': '0',
      'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.002",ip_family="IPv4"}': '1',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}': '1750000000',
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv6",traffic_policy="external"}': '3',
    });
    expect(Object.keys(found).filter((name) => /duration_seconds_count{ip_family="IPv6"}/.test(name))).toEqual([]);
  });

  test('changes are counted when they come, and pending until they are in force', async () => {
    const metrics = open({ pending: () => ({ ...NOTHING, services: 1, slices: 2 }) });
    metrics.queue({ ...NOTHING, services: 3, slices: 4 }, NOW);
    metrics.queue({ ...NOTHING, services: 1, slices: 0 }, NOW + 1000);
    expect(await samples(metrics)).toMatchObject({
      kubeproxy_sync_proxy_rules_service_changes_total: '4',
      kubeproxy_sync_proxy_rules_endpoint_changes_total: '4',
      kubeproxy_sync_proxy_rules_service_changes_pending: '1',
      kubeproxy_sync_proxy_rules_endpoint_changes_pending: '2',
      'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"}': '1750000001',
    });
  });

  test('answers of health checks are counted by status', async () => {
    const metrics = open();
    metrics.countHealth('healthz', 200);
    metrics.countHealth('healthz', 503);
    metrics.countHealth('livez', 200);
    expect(await samples(metrics)).toMatchObject({
      'kubeproxy_proxy_healthz_total{code="200"}': '1',
      'kubeproxy_proxy_healthz_total{code="503"}': '1',
      'kubeproxy_proxy_livez_total{code="200"}': '1',
    });
  });
});

describe('K43: our own names', () => {
  test('drops and maps are read anew each time, and what is gone is not shown any more', async () => {
    let packets = 5;
    let maps = [{ map: 'flows', entries: 25, maxEntries: 100 }];
    const drop = { reason: 'DROP_NO_ROUTE', direction: 'from_netdev' };
    const metrics = open({ drops: () => [{ ...drop, packets, bytes: packets * 60 }], mapFill: () => maps });
    const labels = '{reason="DROP_NO_ROUTE",direction="from_netdev"}';
    expect(await samples(metrics)).toMatchObject({
      [`isthmus_drop_total${labels}`]: '5',
      [`isthmus_drop_bytes_total${labels}`]: '300',
      'isthmus_bpf_map_entries{map="flows"}': '25',
      'isthmus_bpf_map_max_entries{map="flows"}': '100',
      'isthmus_bpf_map_pressure_ratio{map="flows"}': '0.25',
      'isthmus_build_info{version="1.2.3"}': '1',
    });
    packets = 7;
    maps = [{ map: 'flows', entries: 5, maxEntries: 100 }];
    expect(await samples(metrics)).toMatchObject({
      [`isthmus_drop_total${labels}`]: '7',
      [`isthmus_drop_bytes_total${labels}`]: '420',
      'isthmus_bpf_map_pressure_ratio{map="flows"}': '0.05',
    });
  });

  test('programs are counted by name and kind', async () => {
    const attachment = { program: 'from_container', target: 'x', kind: 'tcx' } as const;
    const metrics = open({ attachments: () => [attachment, { ...attachment, target: 'y' }] });
    const name = 'isthmus_programs_attached{program="from_container",kind="tcx"}';
    expect((await samples(metrics))[name]).toBe('2');
    expect((await samples(metrics))[name]).toBe('2');
  });
});

describe('K44: network programming latency', () => {
  test('is from the trigger to now; a clock that is ahead makes it 0, not less', async () => {
    const metrics = open();
    finish(metrics, [
      { family: 'ipv4', time: NOW - 700 },
      { family: 'ipv4', time: NOW + 5000 },
      { family: 'ipv6', time: NOW - 90_000 },
    ]);
    const name = 'kubeproxy_network_programming_duration_seconds';
    expect(await samples(metrics)).toMatchObject({
      [`${name}_count{ip_family="IPv4"}`]: '2',
      [`${name}_sum{ip_family="IPv4"}`]: '0.7',
      [`${name}_bucket{le="0.5",ip_family="IPv4"}`]: '1',
      [`${name}_bucket{le="1",ip_family="IPv4"}`]: '2',
      [`${name}_sum{ip_family="IPv6"}`]: '90',
    });
  });

  test('a trigger counts once, and not at all when it is older than we are', () => {
    const changes = new Changes(() => NOW);
    const slice = (time: number) => ({ ...aSlice('web-1', 'web', {}), trigger: { family: 'ipv4' as const, time } });
    const queue = (time: number) => changes.queue(aSnapshot({ slices: [slice(time)] })).triggers;
    expect(queue(NOW - 1)).toEqual([]);
    expect(queue(NOW + 1)).toEqual([{ family: 'ipv4', time: NOW + 1 }]);
    expect(queue(NOW + 1)).toEqual([]);
    expect(queue(NOW + 2)).toEqual([{ family: 'ipv4', time: NOW + 2 }]);
    changes.begin();
    expect(changes.finish().triggers.map(({ time }) => time)).toEqual([NOW + 1, NOW + 2]);
  });

  test('objects that are new, others or gone are changes', () => {
    const changes = new Changes(() => NOW);
    const [a, b] = [aService('a'), aService('b')];
    expect(changes.queue(aSnapshot({ services: [a, b] }))).toMatchObject({ services: 2, slices: 0 });
    expect(changes.queue(aSnapshot({ services: [a, { ...b }] }))).toMatchObject({ services: 1 });
    expect(changes.queue(aSnapshot({ services: [a] }))).toMatchObject({ services: 1 });
    expect(changes.queue(aSnapshot({ services: [a] }))).toMatchObject({ services: 0 });
    expect(changes.pending).toMatchObject({ services: 4 });
  });
});
