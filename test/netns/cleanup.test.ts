// `isthmus cleanup`: what an agent leaves is listed first, and then removed, all of it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { detourNamespaces } from '../../src/net/detour.js';
import { listNamespaces } from '../../src/net/netns.js';
import { type CommandResult, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { egressPool, network, nodeObject } from '../support/node-manifests.js';
import { NODE, OUTSIDE } from '../support/node-world.js';

const POOL = '192.0.2.77';
const OTHER = ['192.0.2.12', '2001:db8:2::12'];
const OTHER_PODS = ['10.244.2.0/24', 'fd00:244:2::/64'];
const RESERVED = 'net.ipv4.ip_local_reserved_ports';

let node: AgentNode;
let name: string;

beforeAll(async () => {
  node = await AgentNode.open();
  name = node.netns('n1');
  node.write('network.yaml', network());
  node.write('node.yaml', {
    ...nodeObject(name, [NODE.ipv4, NODE.ipv6], ['10.244.1.0/24', 'fd00:244:1::/64']),
    metadata: { name, labels: { 'kubernetes.io/hostname': 'n1' } },
  });
  node.write('other.yaml', nodeObject('n2', OTHER, OTHER_PODS));
  node.write('pool.yaml', egressPool([POOL]));
  await node.exec('node', ['sysctl', '-qw', `${RESERVED}=1234,20000-20010`]);
}, 60_000);
afterAll(() => node?.[Symbol.asyncDispose]());

const cleanup = (...flags: string[]): Promise<CommandResult> =>
  node.exec('node', [process.execPath, ISTHMUS, 'cleanup', '--state-dir', node.stateDir, ...flags]);
const lines = async (line: string): Promise<string> => (await node.ip('node', line)).trim();
const reserved = async (): Promise<string> => (await node.exec('node', ['sysctl', '-n', RESERVED])).stdout.trim();

const isLoaded = async (id: number): Promise<boolean> =>
  (await node.exec('node', ['bpftool', 'prog', 'show', 'id', String(id)])).status === 0;

/** All that an agent may have changed in the namespace, as the system's own tools show it. */
async function stateOfNode(): Promise<unknown> {
  const routes = await Promise.all(OTHER_PODS.map((cidr) => lines(`route show ${cidr}`)));
  return {
    routes,
    reserved: await reserved(),
    pins: node.pins(),
    devices: await node.podDevices(),
    pool: (await lines('addr show dev eth0')).includes(POOL),
    detours: listNamespaces().filter((one) => detourNamespaces(name).includes(one)),
    hooks: (await node.exec('node', ['bpftool', 'cgroup', 'show', node.cgroup])).stdout.includes('bind4'),
  };
}

test('K46: before there was an agent there is nothing to remove', async () => {
  const { status, stderr } = await cleanup();
  expect(status).not.toBe(0);
  expect(stderr).toContain('state.json');
});

test('K46: removal of all state is refused while the agent runs, shown first, and then whole', async () => {
  const before = await stateOfNode();
  expect(before).toMatchObject({ routes: ['', ''], pins: [], devices: [], pool: false, detours: [] });
  await node.startAgent({ node: name, fragments: 'auto' });
  await node.addPod('a');
  await expect.poll(() => lines(`route show ${OTHER_PODS[0]}`), { timeout: 5000 }).toContain(OTHER[0]);
  const during = await stateOfNode();
  expect(during).toMatchObject({ pool: true, hooks: true });

  const programs = Object.values(await node.programs());
  expect(programs.length).toBeGreaterThan(5);
  const refused = await cleanup('--yes');
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toMatch(/an agent runs \(process \d+\); nothing was removed/);
  expect(await stateOfNode()).toEqual(during);

  await node.endAgent('SIGTERM');
  const shown = await cleanup('-o', 'json');
  expect(shown.status, shown.stderr).toBe(0);
  const { items } = JSON.parse(shown.stdout) as { items: { kind: string; name: string; result: string }[] };
  expect(new Set(items.map(({ result }) => result))).toEqual(new Set(['there']));
  const kinds = ['link', 'namespace', 'device', 'route', 'address', 'sysctl', 'pin', 'file'];
  expect(new Set(items.map(({ kind }) => kind))).toEqual(new Set(kinds));
  expect(items.filter(({ kind }) => kind === 'route').map(({ name: route }) => route)).toEqual([
    `${OTHER_PODS[0]} by ${OTHER[0]}`,
    `${OTHER_PODS[1]} by ${OTHER[1]}`,
  ]);
  expect(await stateOfNode()).toEqual(during);

  const done = await cleanup('--yes');
  expect(done.status, done.stdout + done.stderr).toBe(0);
  expect(await stateOfNode()).toEqual(before);
  const loaded = async () => (await Promise.all(programs.map(isLoaded))).filter((one) => one).length;
  await expect.poll(loaded, { timeout: 5000 }).toBe(0);
  expect(readdirSync(node.stateDir)).toEqual(['journal']);
  expect((await node.exec('node', ['ping', '-c', '1', '-W', '1', OUTSIDE.ipv4])).status).toBe(0);
}, 90_000);

test('K46: an agent begins anew after it, also where it has to attach filters', async () => {
  await node.deleteNamespace('a');
  await node.startAgent({ node: name, fragments: 'auto', attach: 'clsact' });
  await node.addPod('a');
  const filters = async () => (await node.exec('node', ['tc', 'filter', 'show', 'dev', 'eth0', 'ingress'])).stdout;
  expect(await filters()).toContain('from_netdev');
  expect((await node.exec('a', ['ping', '-c', '1', '-W', '2', OUTSIDE.ipv4])).status).toBe(0);
  await node.endAgent('SIGKILL');
  // As of an ADD that ended with its agent: the record does not know the device's index yet.
  const record = join(node.stateDir, 'endpoints', 'container-a-eth0.json');
  const endpoint = JSON.parse(readFileSync(record, 'utf8')) as object;
  writeFileSync(record, JSON.stringify({ ...endpoint, ifindex: 0 }));
  expect((await cleanup('--yes')).status).toBe(0);
  expect(await node.podDevices()).toEqual([]);
  expect(await filters()).toBe('');
  expect(await until(() => node.pins().length === 0 && !existsSync(join(node.stateDir, 'state.json')), 2000)).toBe(
    true,
  );
}, 90_000);
