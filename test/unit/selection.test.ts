// Which backends a node uses: the rules of kube-proxy, one by one.
import { describe, expect, test } from 'vitest';
import { type Place, selectBackends } from '../../src/model/selection.js';
import type { Backend, Service, ServicePort } from '../../src/model/service.js';
import { aBackend, aService } from '../support/objects.js';

const HERE: Place = { nodeName: 'node-1', zone: 'z1' };
const READY = {};
const TERMINATING = { ready: false, terminating: true };
const UNREADY = { ready: false, serving: false };
const GONE = { ready: false, serving: false, terminating: true };

interface Policies {
  readonly internal?: 'Local';
  readonly external?: 'Local';
  readonly nodePort?: number;
}

function select(backends: readonly Backend[], { internal, external, nodePort }: Policies = {}, place = HERE) {
  const service: Service = aService('web', {
    internalTrafficPolicy: internal ?? 'Cluster',
    externalTrafficPolicy: external ?? 'Cluster',
  });
  const port: ServicePort = { name: '', protocol: 'TCP', port: 80, ...(nodePort && { nodePort }) };
  const { cluster, local, ...rest } = selectBackends(backends, { service, port }, place);
  return { cluster: cluster.map(({ address }) => address), local: local.map(({ address }) => address), ...rest };
}

/** A backend with a name for an address. */
function at(address: string, nodeName: string, fields: Partial<Backend> = READY): Backend {
  return aBackend({ address, nodeName, ...fields });
}

const both: Policies = { internal: 'Local', external: 'Local', nodePort: 30_080 };

describe('K19: backends', () => {
  test('are the ready ones while there is one', () => {
    const backends = [at('a', 'node-1'), at('b', 'node-2', TERMINATING), at('c', 'node-2', UNREADY)];
    expect(select(backends)).toMatchObject({ cluster: ['a'], clusterFallback: false, anywhere: true });
  });

  test('are those that terminate and serve when no other is left', () => {
    const backends = [at('a', 'node-1', GONE), at('b', 'node-2', TERMINATING), at('c', 'node-2', UNREADY)];
    expect(select(backends)).toMatchObject({ cluster: ['b'], clusterFallback: true, anywhere: true });
  });

  test('are none when none serves', () => {
    const backends = [at('a', 'node-1', GONE), at('c', 'node-2', UNREADY)];
    expect(select(backends, both)).toMatchObject({ cluster: [], local: [], anywhere: false });
  });

  test('here and anywhere fall back each on their own', () => {
    const backends = [at('a', 'node-1', TERMINATING), at('b', 'node-2')];
    expect(select(backends, both)).toMatchObject({
      cluster: ['b'],
      clusterFallback: false,
      local: ['a'],
      localFallback: true,
    });
  });

  test('here are the ready ones first', () => {
    const backends = [at('a', 'node-1', TERMINATING), at('b', 'node-1'), at('c', 'node-2')];
    expect(select(backends, both)).toMatchObject({ cluster: ['b', 'c'], local: ['b'], localFallback: false });
  });

  test('elsewhere make the difference between a drop and a refusal', () => {
    expect(select([at('b', 'node-2', TERMINATING)], both)).toMatchObject({ local: [], anywhere: true });
    expect(select([at('b', 'node-2', UNREADY)], both)).toMatchObject({ local: [], anywhere: false });
  });

  test('that are ready and terminate are ready (K24: publishNotReadyAddresses)', () => {
    expect(select([at('a', 'node-1', { serving: false, terminating: true })], both)).toMatchObject({
      cluster: ['a'],
      local: ['a'],
      clusterFallback: false,
    });
  });
});

test('K6: a backend without a node is nowhere', () => {
  expect(select([at('a', '')], both)).toMatchObject({ cluster: ['a'], local: [] });
  expect(select([at('a', '')], both, { nodeName: '', zone: '' })).toMatchObject({ local: [] });
});

describe('K20: sets that no frontend uses are empty', () => {
  const backends = [at('a', 'node-1'), at('b', 'node-2')];
  test.each([
    ['both policies Cluster', {}, ['a', 'b'], []],
    ['internal Local, no way in from outside', { internal: 'Local' }, [], ['a']],
    ['internal Local, and a node port', { internal: 'Local', nodePort: 30_080 }, ['a', 'b'], ['a']],
    ['external Local, no way in from outside', { external: 'Local' }, ['a', 'b'], []],
    ['external Local, and a node port', { external: 'Local', nodePort: 30_080 }, ['a', 'b'], ['a']],
    ['both Local, and a node port', both, ['a', 'b'], ['a']],
  ] as const)('%s', (_, policies, cluster, local) => {
    expect(select(backends, policies)).toMatchObject({ cluster, local });
  });

  test.each(['externalIPs', 'loadBalancerIPs'] as const)('%s are a way in from outside', (field) => {
    const service = aService('web', { externalTrafficPolicy: 'Local', [field]: ['192.0.2.1'] });
    const port: ServicePort = { name: '', protocol: 'TCP', port: 80 };
    expect(selectBackends(backends, { service, port }, HERE).local).toHaveLength(1);
  });
});

describe('K23: hints', () => {
  const zone = (...zoneHints: string[]) => ({ zoneHints });
  const node = (...nodeHints: string[]) => ({ nodeHints });

  test('for this zone leave the others out', () => {
    const backends = [
      at('a', 'node-1', zone('z1')),
      at('b', 'node-2', zone('z2')),
      at('c', 'node-3', zone('z2', 'z1')),
    ];
    expect(select(backends)).toMatchObject({ cluster: ['a', 'c'], topology: 'SameZone' });
  });

  test('for this node come before those for its zone', () => {
    const backends = [
      at('a', 'node-1', { ...zone('z1'), ...node('node-1') }),
      at('b', 'node-2', { ...zone('z1'), ...node('node-2') }),
    ];
    expect(select(backends)).toMatchObject({ cluster: ['a'], topology: 'SameNode' });
    expect(select(backends, {}, { nodeName: 'node-9', zone: 'z1' })).toMatchObject({
      cluster: ['a', 'b'],
      topology: 'SameZone',
    });
  });

  test.each([
    ['one ready backend has none', [at('a', 'node-1', zone('z1')), at('b', 'node-2')]],
    ['none is for this zone', [at('a', 'node-1', zone('z2')), at('b', 'node-2', zone('z3'))]],
  ])('count for nothing when %s', (_, backends) => {
    expect(select(backends)).toMatchObject({ cluster: ['a', 'b'], topology: 'Anywhere' });
  });

  test('count for nothing on a node without a zone', () => {
    const backends = [at('a', 'node-1', zone('z1')), at('b', 'node-2', zone(''))];
    expect(select(backends, {}, { nodeName: 'node-1', zone: '' })).toMatchObject({ cluster: ['a', 'b'] });
  });

  test('of backends that are not ready do not matter', () => {
    const backends = [at('a', 'node-1', zone('z1')), at('b', 'node-2', UNREADY), at('c', 'node-2', zone('z2'))];
    expect(select(backends)).toMatchObject({ cluster: ['a'], topology: 'SameZone' });
  });

  test('do not bind policy Local, nor the fallback', () => {
    const backends = [at('a', 'node-1', zone('z2')), at('b', 'node-2', zone('z1'))];
    expect(select(backends, both)).toMatchObject({ cluster: ['b'], local: ['a'] });
    const terminating = backends.map((backend) => ({ ...backend, ...TERMINATING }));
    expect(select(terminating)).toMatchObject({ cluster: ['a', 'b'], topology: 'Anywhere' });
  });
});
