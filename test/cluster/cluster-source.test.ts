// The agent's conversation with a real API server: conditions, Events, the Lease, and days on which it is away.
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClusterSource } from '../../src/agent/cluster/cluster-source.js';
import type { ApiClient } from '../../src/kubernetes/api-client.js';
import { connect } from '../../src/kubernetes/connect.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { run } from '../../src/testbed/command.js';
import { ApiServer, findAssets, NO_ASSETS } from '../support/api-server.js';
import { installDefinitions } from '../support/definitions.js';
import { FAKETIME, SkewedSource } from '../support/skewed-source.js';

const assets = findAssets();
const NETWORK = '/apis/isthmus.dev/v1alpha1/clusternetworks';
const POOLS = '/apis/isthmus.dev/v1alpha1/podpools';
const NODES = '/api/v1/nodes';
const SERVICES = '/api/v1/namespaces/default/services';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/isthmus-status';
const MERGE = 'application/merge-patch+json';

describe.skipIf(assets === undefined)(`an agent and a real API server (${NO_ASSETS})`, () => {
  let server: ApiServer;
  let client: ApiClient;
  let source: ClusterSource;
  let snapshots: Snapshot[];

  beforeAll(async () => {
    server = await ApiServer.start(assets ?? '');
    client = await server.client();
    await installDefinitions(client);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    snapshots = [];
    const connection = await connect(server.kubeconfig);
    source = new ClusterSource({ connection, node: 'n1', log: pino({ level: 'silent' }) });
  });
  afterEach(() => source.close());

  const start = () => source.start((snapshot) => snapshots.push(snapshot));
  const last = () => snapshots.at(-1);
  const create = (path: string, body: object) => client.json({ method: 'POST', path, body });
  const remove = (...names: string[]) =>
    run([join(assets ?? '', 'kubectl'), '--kubeconfig', server.kubeconfig, 'delete', ...names]);
  const wait = (check: () => unknown, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 100 });

  interface Status {
    readonly metadata: { readonly generation: number };
    readonly status?: { readonly observedGeneration: number; readonly conditions: readonly object[] };
  }

  test('a contradiction that no rule of the definition sees is a condition and an Event; put right, it is accepted', async () => {
    await create(NETWORK, {
      apiVersion: 'isthmus.dev/v1alpha1',
      kind: 'ClusterNetwork',
      metadata: { name: 'default' },
      spec: {
        clusterID: 'c1',
        ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'] },
        serviceCIDRs: ['10.244.128.0/20'],
      },
    });
    await start();
    const reason = 'spec.serviceCIDRs: 10.244.128.0/20 overlaps the pod CIDR 10.244.0.0/16; in force is nothing of it';
    await wait(async () => {
      const { status } = (await client.json({ path: `${NETWORK}/default` })) as Status;
      expect(status).toMatchObject({
        observedGeneration: 1,
        conditions: [{ type: 'Accepted', status: 'False', reason: 'OverlappingCIDR', message: reason }],
      });
    });
    await wait(async () => {
      const { items } = (await client.json({ path: '/api/v1/namespaces/default/events' })) as {
        items: { involvedObject: object; message: string }[];
      };
      expect(items.filter(({ message }) => message === reason)).toMatchObject([
        {
          reason: 'OverlappingCIDR',
          involvedObject: { kind: 'ClusterNetwork', name: 'default', apiVersion: 'isthmus.dev/v1alpha1' },
        },
      ]);
    });
    const body = { spec: { serviceCIDRs: ['10.96.0.0/16'] } };
    await client.json({ method: 'PATCH', path: `${NETWORK}/default`, contentType: MERGE, body });
    await wait(async () => {
      const { status } = (await client.json({ path: `${NETWORK}/default` })) as Status;
      expect(status).toMatchObject({
        observedGeneration: 2,
        conditions: [{ type: 'Accepted', status: 'True', observedGeneration: 2 }],
      });
    });
    expect(last()).toMatchObject({ network: { clusterID: 'c1' }, problems: [] });
    const lease = await client.json({ path: LEASE });
    expect(lease).toMatchObject({ spec: { holderIdentity: expect.stringMatching(/^n1_/), leaseDurationSeconds: 15 } });
  });

  test('nodes without a pod CIDR get blocks of a pool, and keep them while they are away', async () => {
    const addNode = (name: string, spec = {}) => create(NODES, { metadata: { name }, spec });
    await addNode('bare-1');
    await addNode('own', { podCIDR: '10.244.7.0/24', podCIDRs: ['10.244.7.0/24'] });
    await start();
    await create(POOLS, {
      apiVersion: 'isthmus.dev/v1alpha1',
      kind: 'PodPool',
      metadata: { name: 'racks' },
      spec: { cidrs: ['10.244.8.0/26', '10.244.200.0/26'], blockSize: { ipv4: 26 } },
    });
    const blocks = () => Object.fromEntries([...(last()?.nodes ?? [])].map(([name, node]) => [name, node.podCIDRs]));
    await wait(() => expect(blocks()).toEqual({ 'bare-1': ['10.244.8.0/26'], own: ['10.244.7.0/24'] }));
    await remove('node/bare-1');
    await addNode('bare-2');
    await wait(() => expect(blocks()).toMatchObject({ 'bare-2': ['10.244.200.0/26'] }));
    await addNode('bare-1');
    await wait(() => expect(blocks()).toMatchObject({ 'bare-1': ['10.244.8.0/26'], 'bare-2': ['10.244.200.0/26'] }));
    await addNode('bare-3');
    const pool = () => client.json({ path: `${POOLS}/racks` });
    await wait(async () =>
      expect(await pool()).toMatchObject({
        status: { nodes: 2, conditions: [{ type: 'Accepted', status: 'False', reason: 'Exhausted' }] },
      }),
    );
    await remove('node/bare-1');
    await wait(() => expect(blocks()).toMatchObject({ 'bare-3': ['10.244.8.0/26'] }));
    await wait(async () =>
      expect(await pool()).toMatchObject({ status: { conditions: [{ type: 'Accepted', status: 'True' }] } }),
    );
    await remove('node/own', 'node/bare-2', 'node/bare-3', 'podpool/racks');
  }, 60_000);

  test('K7: an API server that is gone and comes back flushes nothing, and what changed meanwhile arrives', async () => {
    await create(SERVICES, { metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } });
    await create(SLICES, {
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.244.1.2'] }],
      ports: [{ port: 8080 }],
    });
    await start();
    const before = snapshots.length;
    expect(last()?.slices.get('default/web-1')?.backends).toEqual({
      '/TCP': [expect.objectContaining({ address: '10.244.1.2', port: 8080, ready: true })],
    });
    await server.stopApi();
    await server.stopEtcd();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(snapshots).toHaveLength(before);
    server.startEtcd();
    await server.startApi();
    await client.json({
      method: 'PATCH',
      path: `${SERVICES}/web`,
      contentType: MERGE,
      body: { spec: { ports: [{ port: 81 }] } },
    });
    await wait(() => expect(last()?.services.get('default/web')?.ports).toMatchObject([{ port: 81 }]), 40_000);
    for (const snapshot of snapshots) {
      expect([snapshot.services.has('default/web'), snapshot.slices.has('default/web-1')]).toEqual([true, true]);
    }
  });

  describe.skipIf(FAKETIME === undefined)(
    `an agent whose clock is wrong${FAKETIME === undefined ? ' (skipped without the Debian package libfaketime)' : ''}`,
    () => {
      const HOURS_2 = 7_200_000;

      test('by two hours ahead reads, leads and writes; others take the Lease over when it gives it back', async () => {
        await create('/apis/isthmus.dev/v1alpha1/egresspools', {
          apiVersion: 'isthmus.dev/v1alpha1',
          kind: 'EgressPool',
          metadata: { name: 'skewed' },
          spec: { addresses: ['203.0.113.7'], nodeSelector: { matchLabels: { host: 'one' } } },
        });
        {
          await using skewed = new SkewedSource(server.kubeconfig, server.directory, '+2h');
          const synced = () => skewed.messages().find(({ msg }) => msg === 'synced');
          await wait(() => expect(synced()).toBeDefined());
          expect(Date.parse(`${synced()?.now}`) - Date.now()).toBeGreaterThan(HOURS_2 - 60_000);
          await wait(async () => {
            const { status } = (await client.json({ path: '/apis/isthmus.dev/v1alpha1/egresspools/skewed' })) as Status;
            expect(status?.conditions).toMatchObject([{ type: 'Accepted', status: 'True' }]);
          });
          await start();
          const lease = (await client.json({ path: LEASE })) as { spec: { holderIdentity: string } };
          expect(lease.spec.holderIdentity).toMatch(/^skewed_/);
        }
        await wait(async () => {
          expect(await client.json({ path: LEASE })).toMatchObject({
            spec: { holderIdentity: expect.stringMatching(/^n1_/) },
          });
        }, 40_000);
      }, 90_000);

      test('by two hours behind does not trust the certificate of tomorrow, says so, and goes on once the clock is right', async () => {
        await using skewed = new SkewedSource(server.kubeconfig, server.directory, '-2h');
        await wait(() =>
          expect(skewed.messages()).toContainEqual(
            expect.objectContaining({ reason: expect.stringMatching(/not yet valid/) }),
          ),
        );
        expect(skewed.messages().some(({ msg }) => msg === 'synced')).toBe(false);
        skewed.setClock('+0');
        await wait(() => expect(skewed.messages().some(({ msg }) => msg === 'synced')).toBe(true), 40_000);
      }, 90_000);
    },
  );

  test('what is measured has the names that dashboards know', async () => {
    await start();
    const texts = await Promise.all(source.metrics.map(async (metric) => JSON.stringify(await metric.get())));
    expect(texts.join()).toMatch(/"code":"200","method":"GET","host":"127\.0\.0\.1:\d+"/);
    expect(texts.join()).toContain('rest_client_request_duration_seconds');
  });
});
