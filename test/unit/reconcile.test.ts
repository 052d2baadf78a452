// What is written to the maps, in which order, and what happens when a write fails.
import { beforeEach, expect, test } from 'vitest';
import { compile, type Desired } from '../../src/datapath/compile.js';
import { Reconciler } from '../../src/datapath/reconcile.js';
import type { Backend } from '../../src/model/service.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { aNetwork, aNode, anEndpoint, aService, aSlice, aSnapshot, backends } from '../support/objects.js';
import { type RecordingMaps, recordingMaps } from '../support/recording-map.js';
import { resolveFrontends } from '../support/tables.js';

let log: string[];
let maps: RecordingMaps;
let reconciler: Reconciler;

beforeEach(() => {
  log = [];
  maps = recordingMaps((write) => log.push(write));
  reconciler = new Reconciler(maps);
});

function snapshotWith(...ready: Backend[]): Snapshot {
  const slices = [aSlice('web', 'web', { http: ready })];
  return aSnapshot({ network: aNetwork(), nodes: [aNode(1), aNode(2)], services: [aService('web')], slices });
}

function compileNow(snapshot: Snapshot): Desired {
  return compile({
    snapshot,
    nodeName: 'node-1',
    endpoints: [anEndpoint()],
    serviceIds: new Map(),
    have: reconciler.have,
  });
}

const apply = (snapshot: Snapshot) => reconciler.reconcile(compileNow(snapshot));
/** Names of map and operation, repetitions left out. */
const order = () =>
  log.map((line) => line.split(' ', 2).join(' ')).filter((step, index, all) => step !== all[index - 1]);
const inMaps = () => resolveFrontends({ services: maps.services.contents, backends: maps.backends.contents });

const one = snapshotWith(...backends('10.244.1.2:80'));
const two = snapshotWith(...backends('10.244.1.2:80', '10.244.2.2:80'));

test('everything is written in an order in which no entry leads to one that is missing', async () => {
  const report = await apply(two);
  expect(order()).toEqual(['endpoints set', 'routes set', 'backends set', 'services set']);
  expect(report).toEqual({ written: log.length, removed: 0, failures: [], postponed: [], retired: 0, enlisted: 0 });
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80 10.244.2.2:80']);
});

test('what is there already is not written again', async () => {
  await apply(two);
  log.length = 0;
  expect(await apply(two)).toEqual({ written: 0, removed: 0, failures: [], postponed: [], retired: 0, enlisted: 0 });
  expect(log).toEqual([]);
});

test('a service switches by one write, between writing its new backends and removing its old ones', async () => {
  await apply(one);
  log.length = 0;
  await apply(two);
  expect(log).toEqual([
    'backends set generation=2 service_id=1 slot=0',
    'backends set generation=2 service_id=1 slot=1',
    'services set address=10.96.0.10 port=80 protocol=6',
    'backends delete generation=1 service_id=1 slot=0',
  ]);
});

test('what is removed goes in the opposite order', async () => {
  await apply(two);
  log.length = 0;
  const left = aSnapshot({ network: aNetwork(), nodes: [aNode(1)] });
  const desired = compile({
    snapshot: left,
    nodeName: 'node-1',
    endpoints: [],
    serviceIds: new Map(),
    have: reconciler.have,
  });
  await reconciler.reconcile(desired);
  expect(order()).toEqual(['services delete', 'backends delete', 'routes delete', 'endpoints delete']);
});

test('another agent adopts what the maps hold and changes nothing', async () => {
  await apply(two);
  log.length = 0;
  reconciler = new Reconciler(maps);
  await reconciler.adopt();
  expect(await apply(two)).toMatchObject({ written: 0, removed: 0 });
  expect(log).toEqual([]);
});

test('an adopted entry that nobody wants is removed, and a wrong one is put right', async () => {
  await apply(two);
  maps.routes.set({ prefix_length: 128, prefix: '203.0.113.1' }, { type: 2, next_hop: '::' });
  const [address, pod] = maps.endpoints.contents.get('10.244.1.2') ?? expect.fail('no such endpoint');
  maps.endpoints.set(address, { ...pod, ifindex: 99 });
  reconciler = new Reconciler(maps);
  await reconciler.adopt();
  log.length = 0;
  expect(await apply(two)).toMatchObject({ written: 1, removed: 1 });
  expect(log).toEqual(['endpoints set 10.244.1.2', 'routes delete prefix=203.0.113.1 prefix_length=128']);
});

test('a failed write is reported by name, keeps no other from being written, and is tried again', async () => {
  maps.endpoints.refused.add('198.51.100.1');
  const report = await apply(one);
  expect(
    report.failures.map(({ map, operation, key, error }) => `${map} ${operation} ${key}: ${error.message}`),
  ).toEqual(['endpoints set 198.51.100.1: bpf_map_update_elem: refused (ENOMEM)']);
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80']);
  expect([...maps.endpoints.contents.keys()]).toContain('10.244.1.2');
  maps.endpoints.refused.clear();
  expect(await apply(one)).toMatchObject({ written: 1, failures: [] });
});

test('a service keeps its old backends while a new one cannot be written', async () => {
  await apply(one);
  maps.backends.refused.add('generation=2 service_id=1 slot=1');
  const report = await apply(two);
  expect(report.postponed).toEqual([{ address: '10.96.0.10', port: 80, protocol: 6 }]);
  expect(report.failures.map(({ key }) => key)).toEqual(['generation=2 service_id=1 slot=1']);
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80']);
  maps.backends.refused.clear();
  expect(await apply(two)).toMatchObject({ failures: [], postponed: [], retired: 0, enlisted: 0 });
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80 10.244.2.2:80']);
  expect(maps.backends.contents.size).toBe(2);
});

test('a half-written set of backends is never used for another set', async () => {
  await apply(one);
  maps.backends.refused.add('generation=2 service_id=1 slot=1');
  await apply(two);
  maps.backends.refused.clear();
  maps.backends.refused.add('generation=2 service_id=1 slot=0');
  const report = await apply(snapshotWith(...backends('10.244.7.7:80', '10.244.2.2:80')));
  expect(report.postponed.length).toBe(1);
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80']);
});

test('a frontend that cannot be removed keeps its backends', async () => {
  await apply(one);
  maps.services.refused.add('address=10.96.0.10 port=80 protocol=6');
  const none = aSnapshot({ network: aNetwork(), nodes: [aNode(1), aNode(2)] });
  expect((await apply(none)).failures.map(({ map, operation }) => `${map} ${operation}`)).toEqual(['services delete']);
  expect(inMaps()).toEqual(['10.96.0.10:80/6 -> 10.244.1.2:80']);
  maps.services.refused.clear();
  await apply(none);
  expect([maps.services.contents.size, maps.backends.contents.size]).toEqual([0, 0]);
});
