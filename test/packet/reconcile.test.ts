// Compiled entries in the kernel's own maps: they fit, they are read back as they were written, and nothing is rewritten.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileDatapath } from '../../src/bpf/compile.js';
import { loadNative } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { compile } from '../../src/datapath/compile.js';
import { openMaps } from '../../src/datapath/maps.js';
import { type DatapathMaps, Reconciler } from '../../src/datapath/reconcile.js';
import { type Config, type Maps, ROUTE_TYPE } from '../../src/datapath/types.gen.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { aNetwork, aNode, anEndpoint, aService, aSlice, aSnapshot, backends } from '../support/objects.js';
import { desiredTables, resolveFrontends, tableLines } from '../support/tables.js';

const ROOT = join(import.meta.dirname, '../..');

let object: BpfObject<Maps, Config>;
let maps: DatapathMaps;

beforeAll(async () => {
  const folders = { sourceDir: join(ROOT, 'bpf'), outputDir: join(ROOT, 'build/test-objects') };
  const { objectPath } = await compileDatapath({ ...folders, mode: 'auto' });
  object = BpfObject.open<Maps, Config>(loadNative(), objectPath);
  for (const { name } of object.programs()) object.setAutoload(name, false);
  object.configure(compileOn(first).config);
  await object.load();
  maps = openMaps(object);
}, 60_000);
afterAll(() => object?.close());

const ports = [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }] as const;
const everything = {
  clusterIPs: ['10.96.0.7'],
  loadBalancerIPs: ['203.0.113.5', '2001:db8:f::5'],
  sourceRanges: ['198.51.100.0/24', '2001:db8:9::/48', '0.0.0.0/0'],
  loadBalancing: 'Maglev',
  affinityTimeout: 60,
  ports: [{ name: 'dns', protocol: 'UDP', port: 53 }],
} as const;
const services = [
  aService('web', { clusterIPs: ['10.96.0.1', 'fd00:96::1:0:0:1'], ports, forwardingMode: 'DirectReturn' }),
  aService('all', everything),
];
const nodes = [aNode(1), aNode(2)];
const ready = backends('10.244.1.2:8080@node-1', '10.244.2.2:8080', '[fd00:1:1:2::]:8080');
const network = aNetwork();
const dns = aSlice('b', 'all', { 'dns/UDP': backends('10.244.1.2:53', '10.244.2.2:53') });
const first = aSnapshot({ network, nodes, services, slices: [aSlice('a', 'web', { http: ready }), dns] });
const second = aSnapshot({ network, nodes, services, slices: [aSlice('a', 'web', { http: ready.slice(1) })] });

function compileOn(snapshot: Snapshot, reconciler?: Reconciler) {
  const have = reconciler?.have ?? { services: new Map(), backends: new Map() };
  return compile({ snapshot, nodeName: 'node-1', endpoints: [anEndpoint()], serviceIds: new Map(), have });
}

async function adopted(): Promise<Reconciler> {
  const reconciler = new Reconciler(maps);
  await reconciler.adopt();
  return reconciler;
}

it('the configuration is read back as it was compiled', () => {
  expect(object.config).toMatchObject({ ...compileOn(first).config, island: Buffer.from([1, 0]) });
});

it('everything that is compiled is in the maps, and another agent reads the same', async () => {
  const reconciler = await adopted();
  const desired = compileOn(first, reconciler);
  expect(await reconciler.reconcile(desired)).toMatchObject({ failures: [], postponed: [] });
  const { have } = await adopted();
  const tables = desiredTables(desired);
  for (const name of Object.keys(tables) as (keyof typeof tables)[]) {
    expect(tables[name].size).toBeGreaterThan(0);
    expect(tableLines<unknown, unknown>(have[name])).toEqual(tableLines<unknown, unknown>(tables[name]));
  }
});

it('an agent that adopts the maps writes nothing', async () => {
  const reconciler = await adopted();
  expect(await reconciler.reconcile(compileOn(first, reconciler))).toMatchObject({ written: 0, removed: 0 });
});

it('a change of backends leaves no old ones behind', async () => {
  const reconciler = await adopted();
  await reconciler.reconcile(compileOn(second, reconciler));
  const { have } = await adopted();
  expect(resolveFrontends(have)).toEqual([
    '10.96.0.1:80/6 -> 10.244.2.2:8080',
    '10.96.0.7:53/17 ->  affinity=60 maglev',
    '198.51.100.1:30080/6 -> 10.244.2.2:8080 direct',
    '2001:db8::1:30080/6 -> fd00:1:1:2:::8080 direct',
    '2001:db8:f::5:53/17 ->  affinity=60 maglev restricted',
    '203.0.113.5:53/17 ->  affinity=60 maglev restricted',
    'fd00:96::1:0:0:1:80/6 -> fd00:1:1:2:::8080',
  ]);
  expect([have.backends.size, have.maglev.size, have.serving.size]).toEqual([2, 0, 0]);
});

it('the kernel finds the longest route of an address', () => {
  const routes = object.map('routes');
  const find = (prefix: string) => routes.get({ prefix_length: 128, prefix });
  expect(find('10.244.2.9')).toEqual({ type: ROUTE_TYPE.ROUTE_NODE, next_hop: '198.51.100.2' });
  expect(find('fd00:1:1:2::9')).toEqual({ type: ROUTE_TYPE.ROUTE_NODE, next_hop: '2001:db8::2' });
  expect(find('10.244.77.1')).toEqual({ type: ROUTE_TYPE.ROUTE_UNREACHABLE, next_hop: '::' });
  expect(find('192.0.2.77')).toEqual({ type: ROUTE_TYPE.ROUTE_NATIVE, next_hop: '::' });
  expect(find('203.0.113.1')).toBeUndefined();
  routes.close();
});
