// The rights of deploy/kustomize are enough for the agent, and for no more: with the token of its service account.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ClusterSource } from '../../src/agent/cluster/cluster-source.js';
import { NodeReadiness } from '../../src/agent/node-readiness.js';
import { ApiClient } from '../../src/kubernetes/api-client.js';
import { ServiceAccount } from '../../src/kubernetes/service-account.js';
import { STARTUP_TAINT } from '../../src/model/node.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { ApiServer, findAssets, NO_ASSETS } from '../support/api-server.js';
import { installDefinitions } from '../support/definitions.js';

const assets = findAssets();
const ROOT = import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '');
const NAMESPACE = 'isthmus-system';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const TOKEN = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/isthmus/token`;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly subjects?: readonly object[];
}

interface NodeObject {
  readonly spec: { readonly taints: readonly { readonly key: string }[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

describe.skipIf(assets === undefined)(`the rights of the agent (${NO_ASSETS})`, () => {
  let server: ApiServer;
  let admin: ApiClient;
  let directory: string;
  let account: ServiceAccount;
  let warnings: string[];
  let log: Logger;

  beforeAll(async () => {
    server = await ApiServer.start(assets ?? '');
    admin = await server.client();
    await installDefinitions(admin);
    await admin.json({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: NAMESPACE } } });
    for (const manifest of await rights()) await create(manifest);
    directory = await mkdtemp(join(tmpdir(), 'ist-account-'));
    await writeFile(join(directory, 'namespace'), NAMESPACE);
    await writeFile(join(directory, 'ca.crt'), await readFile(join(server.directory, 'certs/apiserver.crt')));
    await writeFile(join(directory, 'token'), await token());
    const { hostname, port } = new URL(server.url);
    account = new ServiceAccount({ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }, directory);
    warnings = [];
    log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(line) });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  async function rights(): Promise<Manifest[]> {
    const text = await readFile(join(ROOT, 'deploy/kustomize/base/rbac.yaml'), 'utf8');
    return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  }

  /** As kustomize does it: what has a namespace is in ours. */
  async function create(manifest: Manifest): Promise<void> {
    const { kind } = manifest;
    const plural = `${kind.toLowerCase()}s`;
    const place = kind.startsWith('Cluster') ? '' : `/namespaces/${NAMESPACE}`;
    const path = kind === 'ServiceAccount' ? `/api/v1${place}/${plural}` : `${RBAC}${place}/${plural}`;
    const subjects = manifest.subjects?.map((subject) => ({ ...subject, namespace: NAMESPACE }));
    await admin.json({ method: 'POST', path, body: { ...manifest, ...(subjects && { subjects }) } });
  }

  async function token(): Promise<string> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
    const { status } = (await admin.json({ method: 'POST', path: TOKEN, body })) as { status: { token: string } };
    return status.token;
  }

  test('it reads all kinds, holds the Lease, writes conditions and Events, and makes its node ready', async () => {
    await admin.json({
      method: 'POST',
      path: '/apis/isthmus.dev/v1alpha1/clusternetworks',
      body: {
        apiVersion: 'isthmus.dev/v1alpha1',
        kind: 'ClusterNetwork',
        metadata: { name: 'default' },
        spec: { clusterID: 'c1', ipv4: { mode: 'Flat', podCIDRs: ['10.244.0.0/16'] }, serviceCIDRs: ['10.244.1.0/24'] },
      },
    });
    const taints = [
      { key: STARTUP_TAINT, effect: 'NoSchedule' },
      { key: 'other', effect: 'NoSchedule' },
    ];
    await admin.json({ method: 'POST', path: '/api/v1/nodes', body: { metadata: { name: 'n1' }, spec: { taints } } });
    const snapshots: Snapshot[] = [];
    const source = new ClusterSource({ connection: account, node: 'n1', log });
    const readiness = new NodeReadiness({ client: new ApiClient({ connection: account }), node: 'n1', log });
    try {
      await source.start((snapshot) => snapshots.push(snapshot));
      readiness.announce();
      await vi.waitFor(
        async () => {
          const { items } = (await admin.json({ path: '/api/v1/events' })) as { items: { reason: string }[] };
          expect(items.map(({ reason }) => reason)).toContain('OverlappingCIDR');
          const network = await admin.json({ path: '/apis/isthmus.dev/v1alpha1/clusternetworks/default' });
          expect(network).toMatchObject({ status: { conditions: [{ type: 'Accepted', status: 'False' }] } });
          const { spec, status } = (await admin.json({ path: '/api/v1/nodes/n1' })) as NodeObject;
          const keys = spec.taints.map(({ key }) => key);
          expect([keys.includes('other'), keys.includes(STARTUP_TAINT)]).toEqual([true, false]);
          const conditions = status.conditions?.map((condition) => `${condition.type}=${condition.status}`);
          expect(conditions).toEqual(['NetworkUnavailable=False']);
        },
        { timeout: 20_000, interval: 100 },
      );
    } finally {
      readiness.close();
      await source.close();
    }
    expect(warnings).toEqual([]);
    const leases = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    expect(await admin.json({ path: `${leases}/isthmus-status` })).toMatchObject({ spec: { holderIdentity: '' } });
  });

  test.each([
    ['GET', '/api/v1/secrets'],
    ['GET', '/api/v1/pods'],
    ['GET', '/api/v1/configmaps'],
    ['GET', `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases`],
    ['PATCH', '/apis/isthmus.dev/v1alpha1/clusternetworks/default'],
    ['PATCH', '/api/v1/namespaces/default/services/kubernetes'],
  ] as const)('it may not %s %s', async (method, path) => {
    const contentType = 'application/merge-patch+json';
    const client = new ApiClient({ connection: account });
    const body = method === 'PATCH' ? { body: {}, contentType } : {};
    await expect(client.json({ method, path, ...body })).rejects.toMatchObject({ status: 403 });
  });

  test('a token that the server does not know is read anew from the file', async () => {
    const client = new ApiClient({ connection: account });
    await writeFile(join(directory, 'token'), 'nonsense');
    account.renew();
    await expect(client.json({ path: '/api/v1/nodes' })).rejects.toMatchObject({ status: 401 });
    await writeFile(join(directory, 'token'), await token());
    expect(await client.json({ path: '/api/v1/nodes' })).toMatchObject({ kind: 'NodeList' });
  });
});
