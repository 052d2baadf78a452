// Records of pods on disk: what survives a crash, and what is none of ours.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EndpointStore, writeDurably } from '../../src/agent/endpoint-store.js';
import type { Endpoint } from '../../src/model/endpoint.js';

let stateDir: string;
let directory: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ist-store-'));
  directory = join(stateDir, 'endpoints');
  mkdirSync(directory);
});

afterEach(() => {
  rmSync(stateDir, { recursive: true, force: true });
});

function endpoint(containerID: string, interfaceName = 'eth0'): Endpoint {
  return {
    containerID,
    interfaceName,
    netns: `/run/netns/${containerID}`,
    namespace: 'shop',
    pod: containerID,
    podUID: 'u1',
    addresses: ['10.244.1.5', 'fd00:244::5'],
    mac: '02:00:00:00:00:01',
    hostInterface: 'ist0',
    ifindex: 7,
    mtu: 1500,
    nat: [{ address: '192.0.2.11', blocks: [1] }],
    created: '2026-01-01T00:00:00Z',
  };
}

function open(): EndpointStore {
  const store = new EndpointStore(stateDir);
  store.load();
  return store;
}

const write = (name: string, text: string) => writeFileSync(join(directory, name), text);

test('C10: whose veth it is, what it may send and its host ports are there after a restart', () => {
  const hostPorts = [{ protocol: 'TCP' as const, hostPort: 80, containerPort: 8080, hostIP: '' }];
  const more = { chained: true, network: 'pods', hostPorts, bandwidth: { egress: { rate: 8, burst: 8 } } };
  open().put({ ...endpoint('a'), ...more });
  expect(open().get({ containerID: 'a', interfaceName: 'eth0' })).toEqual({ ...endpoint('a'), ...more });
});

test('what was put is there after a restart; what was removed is not', () => {
  const store = open();
  store.put(endpoint('a'));
  store.put(endpoint('b'));
  store.put({ ...endpoint('a'), ifindex: 9 });
  expect(store.remove(endpoint('b'))).toBe(true);
  expect(store.remove(endpoint('b'))).toBe(false);
  expect(open().list()).toEqual([{ ...endpoint('a'), ifindex: 9 }]);
  expect(readdirSync(directory)).toEqual(['a-eth0.json']);
});

test('a write that a crash cut short is removed, and the record of before stands', () => {
  open().put(endpoint('a'));
  write('a-eth0.json.tmp', '{"containerID":"a","interf');
  write('b-eth0.json.tmp', '');
  const store = open();
  expect(store.list()).toEqual([endpoint('a')]);
  expect([...store.unreadable]).toEqual([]);
  expect(readdirSync(directory)).toEqual(['a-eth0.json']);
});

test('files that are not records are named and left alone', () => {
  write('README', 'hello');
  write('notes.tmp', 'mine');
  write('empty-eth0.json', '');
  write('null-eth0.json', 'null');
  write('list-eth0.json', '[]');
  write('half-eth0.json', JSON.stringify({ containerID: 'half', interfaceName: 'eth0' }));
  write('other-eth0.json', JSON.stringify(endpoint('a')));
  mkdirSync(join(directory, 'folder-eth0.json'));
  const names = readdirSync(directory);
  const store = open();
  expect(store.list()).toEqual([]);
  expect([...store.unreadable.keys()].sort()).toEqual([...names].sort());
  expect(store.unreadable.get('other-eth0.json')).toBe('its name and its content differ');
  expect(store.unreadable.get('half-eth0.json')).toMatch(/^not a record of a pod: .*netns/);
  expect(readdirSync(directory)).toEqual(names);
});

test('two attachments whose records would share a name are told apart', () => {
  const store = open();
  store.put(endpoint('a', 'b-c'));
  expect(store.get(endpoint('a-b', 'c'))).toBeUndefined();
  expect(store.remove(endpoint('a-b', 'c'))).toBe(false);
  expect(() => store.put(endpoint('a-b', 'c'))).toThrow('the record a-b-c.json belongs to b-c of container a');
  expect(open().list()).toEqual([endpoint('a', 'b-c')]);
});

test('the directory is made, for root alone', () => {
  rmSync(directory, { recursive: true });
  open().put(endpoint('a'));
  expect(existsSync(join(directory, 'a-eth0.json'))).toBe(true);
});

test('a file that cannot be written leaves the old content', () => {
  const path = join(stateDir, 'state.json');
  writeDurably(path, 'old');
  mkdirSync(`${path}.tmp`);
  expect(() => writeDurably(path, 'new')).toThrow(/EISDIR/);
  expect(readFileSync(path, 'utf8')).toBe('old');
});
