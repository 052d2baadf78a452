// The source on a real API server: what kubectl would change arrives, and an API server that is away flushes nothing.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ApiClient } from '../../src/kubernetes/api-client.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { KubernetesSource } from '../../src/source/kubernetes/kubernetes.js';
import { ApiServer, findAssets, NO_ASSETS } from '../support/api-server.js';

const assets = findAssets();

describe.skipIf(assets === undefined)(`a real API server (${NO_ASSETS})`, () => {
  let server: ApiServer;
  let client: ApiClient;
  let source: KubernetesSource;
  let snapshots: Snapshot[];
  let absent: string[];
  let troubles: string[];

  beforeAll(async () => {
    server = await ApiServer.start(assets ?? '');
    client = await server.client();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  beforeEach(() => {
    [snapshots, absent, troubles] = [[], [], []];
    source = new KubernetesSource({
      client,
      onTrouble: ({ path, error }) => troubles.push(`${path}: ${error.message}`),
      onAbsent: (kind) => absent.push(kind),
      timing: { pageSize: 3, recheck: 200, backoff: { initial: 50, maximum: 200 } },
    });
  });
  afterEach(() => source.close());

  const start = () => source.start((snapshot) => snapshots.push(snapshot));
  const last = () => snapshots.at(-1);
  const create = (path: string, body: object) => client.json({ method: 'POST', path, body });
  const service = (name: string) => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }] },
  });

  test('K7: all that there is comes at once, in pages, and kinds without a definition are none', async () => {
    await create('/api/v1/namespaces', { metadata: { name: 'pages' } });
    const names = Array.from({ length: 8 }, (_, index) => `s${index}`);
    for (const name of names) await create('/api/v1/namespaces/pages/services', service(name));
    await create('/api/v1/nodes', {
      metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' } },
      spec: { podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] },
    });
    await start();
    expect(snapshots).toHaveLength(1);
    expect([...(last()?.services.keys() ?? [])].filter((key) => key.startsWith('pages/'))).toEqual(
      names.map((name) => `pages/${name}`),
    );
    expect(last()?.nodes.get('n1')).toMatchObject({ podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'], zone: 'a' });
    expect(absent.sort()).toEqual(['ClusterNetwork', 'EgressPool', 'PodPool']);
    expect(troubles).toEqual([]);
  });

  test('what is created, changed and deleted is delivered', async () => {
    await start();
    await create('/api/v1/namespaces/default/services', service('web'));
    await vi.waitFor(() => expect(last()?.services.has('default/web')).toBe(true));
    await client.json({
      method: 'PATCH',
      path: '/api/v1/namespaces/default/services/web',
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } },
    });
    await vi.waitFor(() => expect(last()?.services.has('default/web')).toBe(false));
  });
});
