// A real agent that is fed by an API server which comes, goes and comes back: packets do not notice.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ISTHMUS } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { network, nodeObject } from '../support/node-manifests.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

const API_PORT = 16_443;
const SERVER = join(import.meta.dirname.replace(/(\/build)?\/test\/.*$/, ''), 'build/test/support/fake-api-main.js');
const VIP = '10.96.7.7';

let node: AgentNode;
let api: ChildProcess | undefined;
let objectsFile: string;

beforeAll(async () => {
  node = await AgentNode.open();
  objectsFile = join(node.directory, 'objects.json');
  const cluster = { server: `http://127.0.0.1:${API_PORT}`, 'insecure-skip-tls-verify': true };
  const kubeconfig = {
    'current-context': 'c',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'c', user: {} }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
  };
  writeFileSync(join(node.directory, 'kubeconfig'), JSON.stringify(kubeconfig));
  writeObjects(8080);
});

afterAll(async () => {
  await stopApi();
  await node?.[Symbol.asyncDispose]();
});

const flags = () => ({ source: 'kubernetes', kubeconfig: join(node.directory, 'kubeconfig') });
const messages = () => node.log().map(({ msg }) => msg);
const backendPorts = () => node.entries<unknown, { port: number }>('backends').map(([, { port }]) => port);

/** The Service's one backend listens at this port. */
function writeObjects(port: number): void {
  const name = 'web';
  const service = { metadata: { name, namespace: 'shop' }, spec: { clusterIP: VIP, ports: [{ port: 80 }] } };
  const slice = {
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.1.1'] }],
    ports: [{ port }],
  };
  const objects = {
    ClusterNetwork: [network()],
    Node: [nodeObject('n1', [NODE.ipv4, NODE.ipv6], ['10.244.1.0/24', 'fd00:244:1::/64'])],
    Service: [service],
    EndpointSlice: [slice],
  };
  writeFileSync(objectsFile, JSON.stringify(objects));
}

async function startApi(): Promise<void> {
  const netns = `--net=/run/netns/${node.netns('node')}`;
  const argv = [netns, process.execPath, SERVER, String(API_PORT), objectsFile];
  api = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(api.stdout as NonNullable<typeof api.stdout>, 'data');
}

async function stopApi(): Promise<void> {
  if (api === undefined || api.exitCode !== null) return;
  const ended = once(api, 'exit');
  api.kill('SIGKILL');
  await ended;
}

test('without an API server the agent waits, answers for its health, and ends when told', async () => {
  node.spawnAgent(flags());
  await expect
    .poll(() => messages(), { timeout: 30_000 })
    .toContain('the API server cannot be read; what is in force stays; trying again');
  const { stdout } = await node.exec('node', [
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    'http://127.0.0.1:10256/livez',
  ]);
  expect([stdout, await node.status()]).toEqual(['200', undefined]);
  expect(await node.endAgent('SIGTERM')).toBeLessThan(2500);
});

test('what the API server has is in force, and what changes there', async () => {
  await startApi();
  const { source } = await node.startAgent(flags());
  expect(source).toEqual({ kind: 'kubernetes', where: `http://127.0.0.1:${API_PORT}/`, synced: true });
  const pod = await node.addPod('a');
  expect([pod.ipv4, pod.ipv6]).toEqual(['10.244.1.1', 'fd00:244:1::1']);
  await node.startServer('a');
  expect(sawOf(await node.probe('a', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).address).toBe(NODE.ipv4);
  expect(backendPorts()).toEqual([8080]);
  writeObjects(PORT);
  api?.stdin?.write('\n');
  await expect.poll(backendPorts).toEqual([PORT]);
  expect((await node.probe('node', 'tcp', VIP, '80', 'who')).ok).toBe(true);
});

test('K7: an agent that starts while the API server is away leaves everything as it is, and goes on when it is back', async () => {
  const programs = await node.programs();
  const before = [node.entries('services'), node.entries('backends'), node.entries('endpoints')];
  const leaving = node.startProbe('a', 'tcp', OUTSIDE.ipv4, String(PORT), 'hold', '--seconds', '60', '--rate', '300');
  await stopApi();
  await node.endAgent('SIGKILL');
  node.spawnAgent();
  await expect
    .poll(() => messages(), { timeout: 30_000 })
    .toContain('the API server cannot be read; what is in force stays; trying again');
  expect([node.entries('services'), node.entries('backends'), node.entries('endpoints')]).toEqual(before);
  expect(await node.programs()).toEqual(programs);
  expect((await node.probe('node', 'tcp', VIP, '80', 'who')).ok).toBe(true);
  await startApi();
  await node.waitFor(({ state }) => state.problems.length === 0, 40_000);
  await expect.poll(() => messages(), { timeout: 20_000 }).toContain('ready');
  expect([node.entries('services'), node.entries('backends'), node.entries('endpoints')]).toEqual(before);
  const { ok, sent = 0, received = 0 } = await leaving.stop();
  expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
  expect(await node.addPod('b')).toMatchObject({ ipv4: '10.244.1.2' });
});

test('an agent that starts while the API server is away adds pods by what was known, says so, and takes up what comes then', async () => {
  await node.endAgent('SIGTERM');
  await stopApi();
  node.spawnAgent();
  const { source, state } = await node.waitFor(({ source }) => source.kept !== undefined, 40_000);
  expect(source).toEqual({ kind: 'kubernetes', where: expect.any(String), synced: false, kept: expect.any(String) });
  expect(Date.parse(source.kept ?? '')).toBeLessThanOrEqual(Date.now());
  expect(state.problems).toEqual([]);
  expect((await node.probe('node', 'tcp', VIP, '80', 'who')).ok).toBe(true);
  const pod = await node.addPod('c');
  expect(sawOf(await node.probe('c', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).address).toBe(NODE.ipv4);
  expect(pod.ipv4).toMatch(/^10\.244\.1\./);
  const { stdout } = await node.exec('node', [
    process.execPath,
    ISTHMUS,
    'status',
    '--state-dir',
    node.stateDir,
    '-o',
    'json',
  ]);
  expect(stdout).toContain(`is not read yet; in force is what was known, last changed at ${source.kept}`);
  writeObjects(PORT + 1);
  await startApi();
  await expect.poll(backendPorts, { timeout: 60_000 }).toEqual([PORT + 1]);
  expect((await node.status())?.source).toMatchObject({ synced: true });
});
