// The agent ends, by order or by force, and another one takes over: packets do not notice.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIND_HOOKS, SOCKET_HOOKS } from '../../src/datapath/cgroup-hooks.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import { AgentNode } from '../support/agent-node.js';
import { nodeObject } from '../support/node-manifests.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

let node: AgentNode;
let pod: { ipv4: string; ipv6: string };

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  await node.startAgent();
  pod = await node.addPod('a');
  await node.startServer('a');
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const messages = () => node.log().map(({ msg }) => msg);
const packets = () => node.flows().reduce((sum, { value }) => sum + Number(value.packets), 0);
const who = (family: 'ipv4' | 'ipv6') => node.probe('a', 'tcp', OUTSIDE[family], String(PORT), 'who');

function record(name: string): Endpoint {
  return JSON.parse(readFileSync(join(node.stateDir, 'endpoints', name), 'utf8')) as Endpoint;
}

function writeRecord(endpoint: Endpoint): void {
  const name = `${endpoint.containerID}-${endpoint.interfaceName}.json`;
  writeFileSync(join(node.stateDir, 'endpoints', name), JSON.stringify(endpoint));
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('%s', (signal) => {
  test('leaves forwarding, and a new agent adopts everything without a packet lost', async () => {
    const before = await node.programs();
    const maps = node.entries('endpoints');
    const leaving = node.startProbe('a', 'tcp', OUTSIDE.ipv4, String(PORT), 'hold', '--seconds', '60', '--rate', '300');
    const coming = node.startProbe(
      'outside',
      'udp',
      OUTSIDE.ipv4,
      String(PORT),
      'stream',
      '--rate',
      '1',
      '--seconds',
      '1',
    );
    const inside = node.startProbe('node', 'udp', pod.ipv6, String(PORT), 'stream', '--rate', '500', '--seconds', '60');
    await expect.poll(() => packets(), { timeout: 5000 }).toBeGreaterThan(100);

    const took = await node.endAgent(signal);
    if (signal === 'SIGTERM') expect(took).toBeLessThan(2500);
    const down = packets();
    await expect.poll(() => packets(), { timeout: 5000 }).toBeGreaterThan(down + 100);
    expect(sawOf(await who('ipv6')).address).toBe(NODE.ipv6);

    await node.startAgent();
    const after = await node.programs();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(Object.values(after).filter((id) => Object.values(before).includes(id))).toEqual([]);
    expect(messages()).toContain('adopted');
    expect(messages()).not.toContain('reconciled'); // nothing had changed, so nothing was written
    expect(node.entries('endpoints')).toEqual(maps);

    await coming.report;
    for (const { ok, sent = 0, received = 0 } of [await leaving.stop(), await inside.stop()]) {
      expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
      expect(sent).toBeGreaterThan(100);
    }
    expect(await node.cni('CHECK', 'a')).toMatchObject({ status: 0 });
  });
});

test('SIGTERM does not wait for a connection that asks nothing', async () => {
  const idle = createConnection(node.socket);
  await new Promise((resolve) => idle.once('connect', resolve));
  expect(await node.endAgent('SIGTERM')).toBeLessThan(2500);
  idle.destroy();
  await node.startAgent();
});

test('a second agent on the same state directory is refused, and the first one keeps its programs', async () => {
  const before = await node.programs();
  const { status, stderr } = await node.runAgent();
  expect(status).not.toBe(0);
  expect(stderr.split('\n').filter((line) => line.startsWith('error: '))).toEqual([
    `error: another agent serves ${node.socket}; nothing was changed; stop it or choose --state-dir`,
  ]);
  expect(await node.programs()).toEqual(before);
  expect((await node.status())?.pid).toBe(node.pid);
});

test('the memory of a started agent is modest', async () => {
  const status = await node.status();
  const megabytes = Math.round((status?.rssBytes ?? Number.NaN) / 1e6);
  process.stdout.write(`agent RSS after start: ${megabytes} MB\n`);
  expect(megabytes).toBeLessThan(200);
});

test('a pod whose namespace vanished meanwhile is cleaned up, with its flows', async () => {
  const { ipv4 } = await node.addPod('gone');
  expect(await node.probe('gone', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
  expect(node.flows().some(({ key }) => key.source === ipv4)).toBe(true);
  await node.endAgent('SIGKILL');
  await node.deleteNamespace('gone');
  await expect.poll(() => node.podDevices(), { timeout: 5000 }).toHaveLength(1);
  await node.startAgent();
  expect(node.records()).toEqual(['container-a-eth0.json']);
  expect(node.flows().filter(({ key, value }) => [key.source, value.destination].includes(ipv4))).toEqual([]);
  expect(node.entries<string>('endpoints').map(([address]) => address)).not.toContain(ipv4);
  expect(Object.keys(await node.programs()).filter((link) => link.startsWith('from_container'))).toHaveLength(1);
  expect(await node.cni('DEL', 'gone')).toMatchObject({ status: 0 });
});

test('a pod whose device alone was deleted keeps its record until DEL comes', async () => {
  await node.addPod('cut');
  await node.endAgent('SIGKILL');
  await node.ip('cut', 'link del eth0');
  await node.startAgent();
  expect(node.records()).toContain('container-cut-eth0.json');
  expect(await node.cni('CHECK', 'cut')).toMatchObject({ status: 1, json: { code: 103 } });
  await node.deletePod('cut');
  expect(node.records()).toEqual(['container-a-eth0.json']);
});

test('what an ADD left that never ended is taken back: a record without a device, and one with half of one', async () => {
  const half = record('container-a-eth0.json');
  await node.endAgent('SIGKILL');
  await node.addNamespace('half');
  const draft = { ...half, netns: node.netnsPath('half'), ifindex: 0 };
  writeRecord({
    ...draft,
    containerID: 'crash1',
    hostInterface: 'istcrash1',
    addresses: ['10.244.1.77'],
    nat: [{ address: NODE.ipv4, blocks: [40] }],
  });
  writeRecord({
    ...draft,
    containerID: 'crash2',
    hostInterface: 'istcrash2',
    addresses: ['10.244.1.78'],
    nat: [{ address: NODE.ipv4, blocks: [41] }],
  });
  await node.ip('node', `link add istcrash2 type veth peer name eth0 netns ${node.netns('half')}`);
  writeFileSync(join(node.stateDir, 'endpoints', 'crash3-eth0.json.tmp'), '{"containerID":');
  await node.startAgent();
  expect(node.records()).toEqual(['container-a-eth0.json']);
  expect(await node.podDevices()).toHaveLength(1);
  expect(await node.cni('ADD', 'half')).toMatchObject({ status: 0 });
  await node.deletePod('half');
});

test('pinned maps with another layout are replaced, with a note, and everything works again', async () => {
  await node.endAgent('SIGTERM');
  for (const map of ['flows', 'endpoints']) {
    rmSync(join(node.bpffs, map));
    const words = ['type', 'hash', 'key', '4', 'value', '8', 'entries', '16', 'name', map];
    const created = spawnSync('bpftool', ['map', 'create', join(node.bpffs, map), ...words], { encoding: 'utf8' });
    expect(created.stderr).toBe('');
  }
  await node.startAgent();
  const notes = node.log().filter(({ msg }) => String(msg).startsWith('pinned map has another layout'));
  expect(notes.map(({ map }) => map).sort()).toEqual(['endpoints', 'flows']);
  expect(sawOf(await who('ipv4')).address).toBe(NODE.ipv4);
  expect(await node.probe('node', 'tcp', pod.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
  expect(node.flows()).not.toEqual([]);
});

test('a link whose pin was removed by somebody is attached anew', async () => {
  await node.endAgent('SIGTERM');
  rmSync(join(node.bpffs, 'links'), { recursive: true });
  await node.startAgent();
  const links = [
    ...Object.keys({ ...BIND_HOOKS, ...SOCKET_HOOKS }),
    `from_container-${record('container-a-eth0.json').hostInterface}`,
    'from_netdev-eth0',
  ];
  expect(Object.keys(await node.programs())).toEqual(links.sort());
  expect(sawOf(await who('ipv4')).address).toBe(NODE.ipv4);
});

test('a mode that changes at run time is in force for new connections without a restart', async () => {
  const island = sawOf(await who('ipv4'));
  expect(island.address).toBe(NODE.ipv4);
  const before = await node.programs();
  node.writeNetwork({ ipv4: { mode: 'Flat' } });
  await node.waitFor(({ state }) => state.modes.ipv4 === 'Flat' && state.modes.ipv6 === 'Island');
  expect(sawOf(await who('ipv4')).address).toBe(pod.ipv4);
  expect(sawOf(await who('ipv6')).address).toBe(NODE.ipv6);
  const flat = await node.programs();
  expect(Object.values(flat).filter((id) => Object.values(before).includes(id))).toEqual([]);
  node.writeNetwork();
  await node.waitFor(({ state }) => state.modes.ipv4 === 'Island');
  expect(sawOf(await who('ipv4')).address).toBe(NODE.ipv4);
});

test('a mode that changes while a pod has lost its device is in force for the others', async () => {
  await node.addPod('lost');
  await node.ip('lost', 'link del eth0');
  node.writeNetwork({ ipv4: { mode: 'Flat' } });
  await node.waitFor(({ state }) => state.modes.ipv4 === 'Flat');
  expect(sawOf(await who('ipv4')).address).toBe(pod.ipv4);
  expect(messages()).toContain('the device of a pod is gone');
  await node.deletePod('lost');
  node.writeNetwork();
  await node.waitFor(({ state }) => state.modes.ipv4 === 'Island');
});

test('a node whose route the kernel refuses is a named problem, and pods are added all the same', async () => {
  node.write('other.yaml', nodeObject('n2', ['127.0.0.9', '2001:db8:2::12'], ['10.244.9.0/24', 'fd00:244:9::/64']));
  const { state } = await node.waitFor(({ state: { problems } }) => problems.length > 0);
  expect(state.problems[0]).toMatchObject({ reason: expect.stringMatching(/10\.244\.9\.0\/24 by 127\.0\.0\.9/) });
  expect(await node.ip('node', '-6 route show fd00:244:9::/64')).toContain('via 2001:db8:2::12');
  await node.addPod('other');
  expect(sawOf(await node.probe('other', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).address).toBe(NODE.ipv4);
  await node.deletePod('other');
  rmSync(join(node.manifests, 'other.yaml'));
  await node.waitFor(({ state: { problems } }) => problems.length === 0);
  expect(await node.ip('node', '-6 route show fd00:244:9::/64')).toBe('');
});

test('state.json is replaced when the state changes, not when somebody asks', async () => {
  const first = await node.status();
  const modified = statSync(join(node.stateDir, 'state.json')).mtimeMs;
  const second = await node.status();
  expect(second?.state).toEqual(first?.state);
  expect(statSync(join(node.stateDir, 'state.json')).mtimeMs).toBe(modified);
  expect(JSON.parse(readFileSync(join(node.stateDir, 'state.json'), 'utf8'))).toEqual(first?.state);
});
