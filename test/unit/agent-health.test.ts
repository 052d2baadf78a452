// K41 K42: what health checks are told, and until when a waiting change is no reason to worry.
import { describe, expect, test } from 'vitest';
import { Changes } from '../../src/agent/changes.js';
import { answerHealthCheck, listHealthChecks } from '../../src/agent/health-checks.js';
import { ProxyHealth } from '../../src/agent/proxy-health.js';
import { compileServices } from '../../src/datapath/services.js';
import type { EndpointSlice, Service } from '../../src/model/service.js';
import { aBackend, aNetwork, aNode, aService, aSlice, aSnapshot } from '../support/objects.js';

const START = Date.parse('2026-03-04T05:06:07.000Z');
const TIMEOUT = 60_000;

function open() {
  let now = START;
  const clock = () => now;
  const changes = new Changes(clock);
  const health = new ProxyHealth({ changes, clock, timeout: TIMEOUT });
  return {
    changes,
    health,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    finish: () => {
      changes.begin();
      changes.finish();
      health.update();
    },
  };
}

describe('K41: the proxy', () => {
  test('is healthy while it starts, with the time that it is', () => {
    const { health } = open();
    const time = '2026-03-04 05:06:07 +0000 UTC';
    expect(health.healthz).toEqual({
      status: 200,
      body: `{"lastUpdated": "${time}","currentTime": "${time}", "nodeEligible": true}`,
    });
    expect(health.livez).toEqual({ status: 200, body: `{"lastUpdated": "${time}","currentTime": "${time}"}` });
  });

  test('is unhealthy once a change has waited for the timeout, and healthy when it is in force', () => {
    const { changes, health, pass, finish } = open();
    finish();
    pass(5250);
    changes.queue(aSnapshot({}));
    pass(TIMEOUT - 1);
    expect([health.healthz.status, health.livez.status]).toEqual([200, 200]);
    pass(1);
    const updated = '{"lastUpdated": "2026-03-04 05:06:07 +0000 UTC","currentTime": "2026-03-04 05:07:12.25 +0000 UTC"';
    expect(health.healthz).toEqual({ status: 503, body: `${updated}, "nodeEligible": true}` });
    expect(health.livez).toEqual({ status: 503, body: `${updated}}` });
    finish();
    expect([health.healthz.status, health.livez.status]).toEqual([200, 200]);
  });

  test('is ready from when everything was in force first, and not while a change has waited for too long', () => {
    const { changes, health, pass, finish } = open();
    expect(health.readyz.status).toBe(503);
    finish();
    expect(health.readyz.status).toBe(200);
    changes.queue(aSnapshot({}));
    pass(TIMEOUT);
    expect(health.readyz.status).toBe(503);
  });

  test('that has never put anything in force says so', () => {
    const { changes, health, pass } = open();
    changes.queue(aSnapshot({}));
    pass(TIMEOUT);
    expect(health.livez.body).toMatch(/^{"lastUpdated": "0001-01-01 00:00:00 \+0000 UTC",/);
  });

  test('counts from the oldest change, whatever came and failed since', () => {
    const { changes, health, pass } = open();
    changes.queue(aSnapshot({}));
    changes.begin(); // and it fails
    pass(TIMEOUT / 2);
    changes.queue(aSnapshot({}));
    changes.begin();
    pass(TIMEOUT / 2);
    expect(health.healthy).toBe(false);
  });

  test('goes on waiting for what came during a reconcile', () => {
    const { changes, health, pass } = open();
    changes.queue(aSnapshot({}));
    changes.begin();
    pass(TIMEOUT - 1);
    changes.queue(aSnapshot({}));
    changes.finish();
    health.update();
    pass(TIMEOUT - 1);
    expect(health.healthy).toBe(true);
    pass(1);
    expect(health.healthy).toBe(false);
  });

  test('on a node that goes away is alive, and not eligible', () => {
    const { health } = open();
    health.eligible = false;
    expect([health.healthz.status, health.livez.status, health.healthy]).toEqual([503, 200, true]);
    expect(JSON.parse(health.healthz.body)).toMatchObject({ nodeEligible: false });
  });
});

describe('K42: the health check of a Service', () => {
  const PORTS = ['http', 'https'].map((name, index) => ({ name, protocol: 'TCP' as const, port: 80 + index }));
  const shop = (fields: Partial<Service> = {}) =>
    aService('shop', {
      clusterIPs: ['10.96.0.1', 'fd00:96::1'],
      ports: PORTS,
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 31_000,
      ...fields,
    });
  const list = (services: readonly Service[], slices: readonly EndpointSlice[]) => {
    const node = aNode(1);
    const snapshot = aSnapshot({ network: aNetwork(), nodes: [node], services, slices });
    const have = { services: new Map(), backends: new Map() };
    return listHealthChecks(
      compileServices({ snapshot, node, serviceIds: new Map(), have, previous: undefined }),
      node.name,
    );
  };
  const here = { nodeName: aNode(1).name };
  const v4 = (last: number, fields: object = here) => aBackend({ address: `10.244.1.${last}`, ...fields });

  test('D5: counts ready backends of this node: each address once, and of two families the one with more', () => {
    const both = [v4(2), v4(3), v4(4, { nodeName: 'other' }), v4(5, { nodeName: '' })];
    const ipv6 = [aBackend({ address: 'fd00:244::2', ...here })];
    const slices = [
      aSlice('shop-1', 'shop', { 'http/TCP': both, 'https/TCP': both.slice(0, 1) }),
      aSlice('shop-2', 'shop', { 'http/TCP': ipv6 }),
    ];
    expect(list([shop()], slices)).toEqual([{ namespace: 'shop', name: 'shop', port: 31_000, localEndpoints: 2 }]);
  });

  test('does not count those that terminate, though they are used when no other is left', () => {
    const terminating = v4(2, { ...here, ready: false, serving: true, terminating: true });
    const slices = [aSlice('shop-1', 'shop', { 'http/TCP': [terminating] })];
    expect(list([shop()], slices)).toMatchObject([{ localEndpoints: 0 }]);
  });

  test('is there only where the Service has one', () => {
    const { healthCheckNodePort: _, ...none } = shop();
    expect(list([none], [])).toEqual([]);
  });

  test.each([
    [2, true, 200],
    [0, true, 503],
    [2, false, 503],
  ])('with %i backends and a proxy that is healthy (%s) answers %i', (localEndpoints, healthy, status) => {
    const check = { namespace: 'shop', name: 'web', port: 31_000, localEndpoints };
    expect(answerHealthCheck(check, healthy)).toEqual({
      status,
      body: [
        '{',
        '\t"service": {',
        '\t\t"namespace": "shop",',
        '\t\t"name": "web"',
        '\t},',
        `\t"localEndpoints": ${localEndpoints},`,
        `\t"serviceProxyHealthy": ${healthy}`,
        '}',
      ].join('\n'),
    });
  });
});
