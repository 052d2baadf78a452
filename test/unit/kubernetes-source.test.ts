// The desired state from an API server: when it is delivered, and what is not.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiClient } from '../../src/kubernetes/api-client.js';
import { connect } from '../../src/kubernetes/connect.js';
import { ServiceAccount } from '../../src/kubernetes/service-account.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { KubernetesSource } from '../../src/source/kubernetes/kubernetes.js';
import { RESOURCES } from '../../src/source/kubernetes/resources.js';
import { FakeApiServer, sendStatus } from '../support/fake-api-server.js';

/** The machine may be busy. */
const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

const pathOf = (kind: string) => RESOURCES.find((resource) => resource.kind === kind)?.path ?? '';
const [SERVICES, SLICES, NODES, POOLS] = ['Service', 'EndpointSlice', 'Node', 'EgressPool'].map(pathOf) as [
  string,
  string,
  string,
  string,
];

let server: FakeApiServer;
let source: KubernetesSource;
let snapshots: Snapshot[];
let absent: string[];
let troubles: string[];

beforeEach(async () => {
  server = await FakeApiServer.start();
  for (const { kind, path } of RESOURCES) {
    const apiVersion = path.split('/').slice(2, -1).join('/');
    server.serve(path, kind, apiVersion);
  }
  [snapshots, absent, troubles] = [[], [], []];
  source = new KubernetesSource({
    client: new ApiClient({ connection: server.connection() }),
    onTrouble: ({ path, error }) => troubles.push(`${path} ${error.message}`),
    onAbsent: (kind) => absent.push(kind),
    timing: { backoff: { initial: 10, maximum: 40 }, recheck: 20 },
    pace: 5,
  });
});

afterEach(async () => {
  await source.close();
  await server[Symbol.asyncDispose]();
});

const start = () => source.start((snapshot) => snapshots.push(snapshot));
const last = () => snapshots.at(-1);
const service = (name: string, clusterIP: string, labels = {}) => ({
  metadata: { name, namespace: 'shop', labels },
  spec: { clusterIP, ports: [{ port: 80 }] },
});

test('K7: nothing is delivered before every kind was listed, and one that cannot be read is named', async () => {
  server.put(SERVICES, service('web', '10.96.0.1'));
  server.faults.push((url, response) => {
    if (url.pathname !== SLICES) return false;
    sendStatus(response, 403, { message: 'endpointslices is forbidden' });
    return true;
  });
  void start();
  await eventually(() => expect(source.unsynced).toEqual(['EndpointSlice']));
  await eventually(() => expect(troubles).toEqual([`${SLICES} 403: endpointslices is forbidden`]));
  expect(snapshots).toEqual([]);
  server.faults.length = 0;
  await eventually(() => expect(snapshots).toHaveLength(1));
  expect([...(last()?.services.keys() ?? [])]).toEqual(['shop/web']);
});

test('K1: what another proxy serves, or nobody, is not even asked for', async () => {
  await start();
  const selector = '!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name';
  const asked = server.requests.filter((request) => request.includes(SERVICES) || request.includes(SLICES));
  expect(asked.length).toBeGreaterThanOrEqual(2);
  expect(asked.filter((request) => !request.replaceAll('+', ' ').includes(`labelSelector=${selector}`))).toEqual([]);
});

test('a kind of ours without a definition is none; when it comes, its objects do too', async () => {
  server.put(POOLS, {
    metadata: { name: 'web' },
    spec: { addresses: ['192.0.2.9'], nodeSelector: { matchLabels: { egress: 'yes' } } },
  });
  server.faults.push((url, response) => {
    if (url.pathname !== POOLS) return false;
    sendStatus(response, 404, { message: '404 page not found' });
    return true;
  });
  await start();
  expect([last()?.egressPools.size, absent]).toEqual([0, ['EgressPool']]);
  server.faults.length = 0;
  await eventually(() => expect([...(last()?.egressPools.keys() ?? [])]).toEqual(['web']));
  expect(absent).toEqual(['EgressPool']);
});

test("a kind of Kubernetes' own that the server says it does not know keeps everything waiting", async () => {
  server.faults.push((url, response) => {
    if (url.pathname !== NODES) return false;
    sendStatus(response, 404, { message: '404 page not found' });
    return true;
  });
  void start();
  await eventually(() => expect(absent).toEqual(['Node']));
  await eventually(() => expect(source.unsynced).toEqual(['Node']));
  expect(snapshots).toEqual([]);
});

test('K7: an API server that is away, and one that knows a kind no longer, flush nothing', async () => {
  server.put(SERVICES, service('web', '10.96.0.1'));
  await start();
  server.faults.push((url, response) => {
    if (url.pathname === SERVICES) sendStatus(response, 404, { message: 'not found' });
    else response.destroy();
    return true;
  });
  server.compact();
  for (const { path } of RESOURCES) server.drop(path);
  await eventually(() => expect(absent).toContain('Service'));
  await eventually(() => expect(troubles.length).toBeGreaterThanOrEqual(RESOURCES.length));
  expect(snapshots).toHaveLength(1);
  server.faults.length = 0;
  server.put(SERVICES, service('api', '10.96.0.2'));
  await eventually(() => expect([...(last()?.services.keys() ?? [])].sort()).toEqual(['shop/api', 'shop/web']));
});

test('a broken object is a problem, keeps its last good state, and hurts no other', async () => {
  server.put(SERVICES, service('web', '10.96.0.1'));
  await start();
  server.put(SERVICES, service('web', '10.96.0.999'));
  server.put(SERVICES, service('api', '10.96.0.2'));
  await eventually(() => expect(last()?.services.size).toBe(2));
  expect(last()?.services.get('shop/web')?.clusterIPs).toEqual(['10.96.0.1']);
  expect(last()?.problems).toEqual([
    {
      where: 'Service shop/web',
      object: 'Service shop/web',
      reason: expect.stringContaining("'10.96.0.999'"),
      code: 'Invalid',
      inForce: 'the last good state of Service shop/web',
    },
  ]);
});

test('objects of kinds that did not change are the same maps, and a status alone delivers nothing', async () => {
  const node = (heartbeat: string) => ({ metadata: { name: 'n1' }, status: { conditions: [{ heartbeat }] } });
  server.put(NODES, node('1'));
  server.put(SERVICES, service('web', '10.96.0.1'));
  await start();
  server.put(NODES, node('2'));
  server.put(SERVICES, service('api', '10.96.0.2'));
  await eventually(() => expect(last()?.services.size).toBe(2));
  expect(snapshots).toHaveLength(2);
  expect(snapshots[1]?.nodes).toBe(snapshots[0]?.nodes);
  expect(snapshots[1]?.slices).toBe(snapshots[0]?.slices);
});

test("D6: a pod's service account, with an API server of IPv6: its token is read anew when the server refuses it", async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ist-account-'));
  try {
    await writeFile(join(directory, 'namespace'), 'isthmus\n');
    await writeFile(join(directory, 'token'), 'one\n');
    await writeFile(join(directory, 'ca.crt'), '');
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00:96::1', KUBERNETES_SERVICE_PORT: '6443' };
    const account = new ServiceAccount(environment, directory);
    expect([account.server.href, account.namespace]).toEqual(['https://[fd00:96::1]:6443/', 'isthmus']);
    const token = async () => (await account.authorize()).headers;
    expect(await token()).toEqual({ authorization: 'Bearer one' });
    await writeFile(join(directory, 'token'), 'two\n');
    expect(await token()).toEqual({ authorization: 'Bearer one' });
    account.renew();
    expect(await token()).toEqual({ authorization: 'Bearer two' });
    const { agent } = await account.authorize();
    expect((await account.authorize()).agent).toBe(agent);
    await writeFile(join(directory, 'ca.crt'), 'another');
    expect((await account.authorize()).agent).not.toBe(agent);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('nobody who says how the API server is reached is one sentence', async () => {
  expect(() => new ServiceAccount({})).toThrow(
    'not in a pod: KUBERNETES_SERVICE_HOST is not set; nothing was asked; run in a pod with a service account, or name a kubeconfig',
  );
  await expect(connect('/nowhere/kubeconfig')).rejects.toThrow(
    /cannot read the kubeconfig \/nowhere\/kubeconfig: ENOENT/,
  );
});
