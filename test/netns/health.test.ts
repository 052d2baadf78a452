// What a real agent tells load balancers, the kubelet and Prometheus, asked by HTTP from outside and on the node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NODE, openSmallNode, type SmallNode } from '../support/small-node.js';

const HEALTHZ = 10_256;
const METRICS = 10_249;
const CHECK_PORT = 31_999;
const FAMILIES = ['ipv4', 'ipv6'] as const;
const PODS = { here: '10.244.1.55', alsoHere: '10.244.1.56', elsewhere: '10.244.7.5' } as const;

let node: SmallNode;

beforeAll(async () => {
  node = await openSmallNode('pod');
  await node.startAgent('--health-timeout-seconds', '2');
  node.addPod('pod');
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Prints what came back, as an Answer. */
const GET = `
const [host, port, path] = process.argv.slice(1);
require('node:http').get({ host, port, path, timeout: 3000 }, (response) => {
  let body = '';
  response.setEncoding('utf8').on('data', (part) => (body += part));
  response.on('end', () => console.log(JSON.stringify({ status: response.statusCode, headers: response.headers, body })));
}).on('timeout', () => process.exit(1)).on('error', () => process.exit(1));`;

/** GET in a namespace; status 0 when nobody answers. */
async function get(short: 'out' | 'node' | 'pod', host: string, port: number, path = '/healthz'): Promise<Answer> {
  const child = node.namespaces.start(short, [process.execPath, '-e', GET, host, String(port), path]);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
  await once(child, 'close');
  return text === '' ? { status: 0, headers: {}, body: '' } : (JSON.parse(text) as Answer);
}

/** Asks until it comes out as wanted: a change needs a moment from the file to the answer. */
async function eventually<T>(ask: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await ask();
    if (wanted(value)) return value;
    if (tries === 80) expect.fail(`still ${JSON.stringify(value)}\n${node.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const status = (wanted: number) => (answer: Answer) => answer.status === wanted;

interface Spec {
  readonly name?: string;
  readonly policy?: 'Local' | 'Cluster';
  readonly checkPort?: number;
  readonly type?: string;
}

function service({ name = 'shop', policy = 'Local', checkPort = CHECK_PORT, type = 'LoadBalancer' }: Spec): object {
  const last = name === 'shop' ? 90 : 91;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: {
      type,
      clusterIPs: [`10.96.0.${last}`],
      externalTrafficPolicy: policy,
      healthCheckNodePort: checkPort,
      ports: [{ name: 'http', port: 80, nodePort: 30_000 + last }],
    },
  };
}

interface Endpoint {
  readonly address: string;
  readonly nodeName: string;
  readonly conditions?: object;
}

function slice(endpoints: readonly Endpoint[], annotations: object = {}, name = 'shop'): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', annotations, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: endpoints.map(({ address, ...rest }) => ({ addresses: [address], ...rest })),
    ports: [{ name: 'http', port: 8080 }],
  };
}

function nodeObject(metadata: object, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, ...metadata },
    spec: { podCIDRs: ['10.244.1.0/24', 'fd00:10:1:1::/64'], ...spec },
    status: { addresses: FAMILIES.map((family) => ({ type: 'InternalIP', address: NODE[family] })) },
  };
}

const here = (address: string, conditions: object = {}): Endpoint => ({ address, nodeName: node.name, conditions });
const elsewhere = { address: PODS.elsewhere, nodeName: 'another' };
const checkBody = (localEndpoints: number, serviceProxyHealthy = true) =>
  `{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "shop"\n\t},\n\t"localEndpoints": ${localEndpoints},\n` +
  `\t"serviceProxyHealthy": ${serviceProxyHealthy}\n}`;

describe.each(FAMILIES)('from outside, %s', (family) => {
  test('K41: healthz and livez answer with JSON, headers and 200; other paths are not there', async () => {
    const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(\\.\\d+)? \\+0000 UTC';
    const headers = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' };
    const healthz = await get('out', NODE[family], HEALTHZ);
    expect(healthz).toMatchObject({ status: 200, headers });
    expect(healthz.body).toMatch(
      new RegExp(`^{"lastUpdated": "${time}","currentTime": "${time}", "nodeEligible": true}$`),
    );
    const livez = await get('out', NODE[family], HEALTHZ, '/livez');
    expect(livez).toMatchObject({ status: 200, headers });
    expect(livez.body).toMatch(new RegExp(`^{"lastUpdated": "${time}","currentTime": "${time}"}$`));
    expect((await get('out', NODE[family], HEALTHZ, '/metrics')).status).toBe(404);
    expect((await get('pod', NODE[family], HEALTHZ)).status).toBe(200);
  }, 20_000);

  test('K42: the health check says whether a ready backend is here', async () => {
    const ask = () => get('out', NODE[family], CHECK_PORT, '/');
    node.apply('shop', [service({}), slice([here(PODS.here), here(PODS.alsoHere), elsewhere])]);
    const good = await eventually(ask, (answer) => answer.headers['x-load-balancing-endpoint-weight'] === '2');
    expect(good).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' },
      body: checkBody(2),
    });
    node.apply('shop', [service({}), slice([elsewhere])]);
    expect(await eventually(ask, status(503))).toMatchObject({
      headers: { 'x-load-balancing-endpoint-weight': '0' },
      body: checkBody(0),
    });
    const terminating = { ready: false, serving: true, terminating: true };
    node.apply('shop', [service({}), slice([here(PODS.here)])]);
    await eventually(ask, status(200));
    node.apply('shop', [service({}), slice([here(PODS.here, terminating)])]);
    expect((await eventually(ask, status(503))).body).toBe(checkBody(0));
  }, 40_000);
});

test.each([
  ['the policy becomes Cluster', [{ policy: 'Cluster' as const }]],
  ['the type becomes NodePort', [{ type: 'NodePort' }]],
  ['the Service goes', []],
])(
  'K42: the port is closed when %s, and opened again',
  async (_, specs) => {
    const ask = () => get('out', NODE.ipv4, CHECK_PORT);
    node.apply('shop', [service({}), slice([here(PODS.here)])]);
    await eventually(ask, status(200));
    node.apply('shop', [...specs.map(service), slice([here(PODS.here)])]);
    await eventually(ask, status(0));
    node.apply('shop', [service({}), slice([here(PODS.here)])]);
    await eventually(ask, status(200));
  },
  40_000,
);

test('K42: another port and another Service at the old one, in one change', async () => {
  const both = [slice([here(PODS.here)]), slice([elsewhere], {}, 'other')];
  node.apply('shop', [service({}), ...both]);
  await eventually(() => get('out', NODE.ipv4, CHECK_PORT), status(200));
  node.apply('shop', [service({ checkPort: CHECK_PORT - 1 }), service({ name: 'other' }), ...both]);
  await eventually(() => get('out', NODE.ipv4, CHECK_PORT - 1), status(200));
  const other = await eventually(() => get('out', NODE.ipv4, CHECK_PORT), status(503));
  expect(JSON.parse(other.body).service).toEqual({ namespace: 'default', name: 'other' });
}, 40_000);

test('K42: it listens on nodePortAddresses only', async () => {
  const spec = {
    clusterID: 'small',
    ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'] },
    ipv6: { mode: 'Island', podCIDRs: ['fd00:10:1::/48'] },
  };
  const network = (more: object) => ({
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: { ...spec, ...more },
  });
  node.apply('shop', [service({}), slice([here(PODS.here)])]);
  // First by name, so that it is the definition that counts.
  node.apply('a-network', [network({ nodePortAddresses: ['198.51.100.0/24'] })]);
  await eventually(() => get('out', NODE.ipv6, CHECK_PORT), status(0));
  expect((await get('out', NODE.ipv4, CHECK_PORT)).status).toBe(200);
  node.apply('a-network', [network({})]);
  await eventually(() => get('out', NODE.ipv6, CHECK_PORT), status(200));
}, 40_000);

test('K42: a port that is taken is a problem of its Service, and no matter for others', async () => {
  const taken = CHECK_PORT - 7;
  const squatter = spawn('nsenter', [
    `--net=${node.namespaces.path('node')}`,
    ...[process.execPath, '-e', `require('node:http').createServer((q, r) => r.end('mine')).listen(${taken})`],
  ]);
  try {
    await eventually(() => get('out', NODE.ipv4, taken), status(200));
    const both = [slice([here(PODS.here)]), slice([here(PODS.here)], {}, 'other')];
    node.apply('shop', [service({ checkPort: taken }), service({ name: 'other' }), ...both]);
    const other = await eventually(
      () => get('out', NODE.ipv4, CHECK_PORT),
      (answer) => /"other"/.test(answer.body),
    );
    expect(other.status).toBe(200);
    const object = 'health check of Service default/shop';
    const { state } = await eventually(
      () => node.status(),
      ({ state }) => state.problems.some((one) => one.object === object),
    );
    const problem = state.problems.find((one) => one.object === object);
    expect(problem).toMatchObject({ where: `0.0.0.0:${taken}` });
    expect(problem?.reason).toMatch(/EADDRINUSE/);
    expect(node.log()).toMatch(/health check of Service default\/shop at 0\.0\.0\.0:\d+: cannot listen/);
    expect((await get('out', NODE.ipv4, HEALTHZ)).status).toBe(200);
  } finally {
    squatter.kill('SIGKILL');
    await once(squatter, 'exit');
  }
  await eventually(
    () => get('out', NODE.ipv4, taken),
    (answer) => answer.body === checkBody(1),
  );
  await eventually(
    () => node.status(),
    ({ state }) => state.problems.every(({ where }) => !where.includes(String(taken))),
  );
}, 60_000);

test.each([
  [
    'is tainted by the cluster autoscaler',
    {},
    { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] },
  ],
  ['is being deleted', { deletionTimestamp: '2026-01-01T00:00:00Z' }, {}],
])(
  'K41: a node that %s is not eligible, but lives',
  async (_, metadata, spec) => {
    const ask = () => get('out', NODE.ipv4, HEALTHZ);
    node.apply('a-node', [nodeObject(metadata, spec)]);
    const left = await eventually(ask, status(503));
    expect(JSON.parse(left.body)).toMatchObject({ nodeEligible: false });
    expect((await get('out', NODE.ipv4, HEALTHZ, '/livez')).status).toBe(200);
    node.apply('a-node', [nodeObject({})]);
    await eventually(ask, status(200));
  },
  40_000,
);

test('K41 K42: a change that waits too long makes node and health checks unhealthy until it is in force', async () => {
  node.apply('shop', [service({}), slice([here(PODS.here)])]);
  await eventually(
    () => get('out', NODE.ipv4, CHECK_PORT),
    (answer) => answer.body === checkBody(1),
  );
  // Without its Node, nothing newer can be put in force; what was in force stays.
  node.apply('objects', []);
  node.apply('a-node', []);
  expect((await eventually(() => get('out', NODE.ipv4, HEALTHZ), status(503))).body).toMatch(/"nodeEligible": true/);
  expect((await get('out', NODE.ipv4, HEALTHZ, '/livez')).status).toBe(503);
  const check = await get('out', NODE.ipv4, CHECK_PORT);
  expect([check.status, check.body]).toEqual([503, checkBody(1, false)]);
  node.apply('a-node', [nodeObject({})]);
  await eventually(() => get('out', NODE.ipv4, HEALTHZ), status(200));
  expect((await get('out', NODE.ipv4, HEALTHZ, '/livez')).status).toBe(200);
  await eventually(() => get('out', NODE.ipv4, CHECK_PORT), status(200));
}, 40_000);

/** Samples by name and labels, as the text has them. */
async function metrics(): Promise<Map<string, number>> {
  const { status: code, body } = await get('node', '127.0.0.1', METRICS, '/metrics');
  expect(code).toBe(200);
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

test('K43: metrics and the proxy mode are for the node alone', async () => {
  expect((await get('out', NODE.ipv4, METRICS, '/metrics')).status).toBe(0);
  const mode = await get('node', '127.0.0.1', METRICS, '/proxyMode');
  expect(mode).toMatchObject({
    status: 200,
    body: 'isthmus',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
});

test('K43: kube-proxy metrics count what happens', async () => {
  node.apply('shop', [service({}), slice([here(PODS.here)])]);
  await eventually(metrics, (now) => now.get('kubeproxy_sync_proxy_rules_service_changes_pending') === 0);
  await eventually(() => get('out', NODE.ipv4, CHECK_PORT), status(200));
  const before = await metrics();
  const grown = (now: Map<string, number>, name: string) => (now.get(name) ?? 0) - (before.get(name) ?? 0);
  node.apply('shop', [service({}), slice([elsewhere])]);
  const noLocal = 'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}';
  const after = await eventually(metrics, (now) => now.get(noLocal) === 1);
  expect(before.get(noLocal)).toBe(0);
  expect(grown(after, 'kubeproxy_sync_proxy_rules_endpoint_changes_total')).toBeGreaterThanOrEqual(1);
  expect(grown(after, 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv6"}')).toBeGreaterThanOrEqual(1);
  const synced = after.get('kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}') ?? 0;
  expect(Math.abs(synced - Date.now() / 1000)).toBeLessThan(30);
  await get('out', NODE.ipv4, HEALTHZ);
  await get('out', NODE.ipv4, HEALTHZ, '/livez');
  const asked = await metrics();
  expect(grown(asked, 'kubeproxy_proxy_healthz_total{code="200"}')).toBe(1);
  expect(grown(asked, 'kubeproxy_proxy_livez_total{code="200"}')).toBe(1);
}, 30_000);

test('K43: our own metrics tell drops, maps, programs and pods', async () => {
  const drop = 'isthmus_drop_total{reason="DROP_NO_LOCAL_BACKEND",direction="from_netdev"}';
  const before = (await metrics()).get(drop) ?? 0;
  expect((await get('out', NODE.ipv4, 30_090, '/')).status).toBe(0);
  const now = await metrics();
  expect(now.get(drop)).toBeGreaterThan(before);
  expect(now.get('isthmus_drop_bytes_total{reason="DROP_NO_LOCAL_BACKEND",direction="from_netdev"}')).toBeGreaterThan(
    0,
  );
  expect(now.get('isthmus_bpf_map_max_entries{map="flows"}')).toBe(1_048_576);
  expect(now.get('isthmus_bpf_map_entries{map="services"}')).toBe((await node.map('services')).length);
  expect(now.get('isthmus_bpf_map_pressure_ratio{map="services"}')).toBeGreaterThan(0);
  expect(now.get('isthmus_programs_attached{program="from_netdev",kind="tcx"}')).toBe(1);
  expect([now.get('isthmus_endpoints'), now.get('isthmus_services')]).toEqual([1, 1]);
  expect(now.get('process_resident_memory_bytes')).toBeGreaterThan(0);
}, 20_000);

test('K44: programming latency is taken from when the endpoints changed', async () => {
  const count = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}';
  const sum = 'kubeproxy_network_programming_duration_seconds_sum{ip_family="IPv4"}';
  const before = await metrics();
  const change = (time: number, backends: readonly Endpoint[]) =>
    node.apply('shop', [
      service({}),
      slice(backends, { 'endpoints.kubernetes.io/last-change-trigger-time': new Date(time).toISOString() }),
    ]);
  // From before the agent's start: no measure of it.
  change(Date.now() - 3_600_000, [here(PODS.alsoHere)]);
  await eventually(() => get('out', NODE.ipv4, CHECK_PORT), status(200));
  change(Date.now() - 3000, [here(PODS.here), here(PODS.alsoHere)]);
  const after = await eventually(metrics, (now) => (now.get(count) ?? 0) > (before.get(count) ?? 0));
  expect((after.get(count) ?? 0) - (before.get(count) ?? 0)).toBe(1);
  expect((after.get(sum) ?? 0) - (before.get(sum) ?? 0)).toBeGreaterThanOrEqual(3);
  expect((after.get(sum) ?? 0) - (before.get(sum) ?? 0)).toBeLessThan(30);
}, 30_000);

test('K41 K43: off is off, and an address of its own is one', async () => {
  await node.killAgent();
  await node.startAgent('--healthz-bind-address', `${NODE.ipv4}:10300`, '--metrics-bind-address', 'off');
  expect((await get('out', NODE.ipv4, 10_300)).status).toBe(200);
  expect((await get('out', NODE.ipv6, 10_300)).status).toBe(0);
  expect((await get('node', '127.0.0.1', METRICS, '/metrics')).status).toBe(0);
}, 60_000);
