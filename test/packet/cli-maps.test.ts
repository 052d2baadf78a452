// The command line on real pinned maps of the real object, without an agent: what was written is what is shown.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { monotonicSeconds } from '../../src/cli/time.js';
import { SERVICE_FLAGS } from '../../src/datapath/types.gen.js';
import { runCli } from '../support/cli.js';
import { blocks } from '../support/datapath.js';
import { agentState, createStateDir } from '../support/fake-agent.js';
import { anEndpoint } from '../support/objects.js';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'build/src/cli/main.js');
const PINS = `/sys/fs/bpf/ist-cli-${process.pid}`;
const MAPS = [
  ...['endpoints', 'routes', 'services', 'backends', 'affinities', 'hits', 'flows'],
  ...['flow_totals', 'flow_counts', 'drops', 'nat_counters', 'shortages'],
];
const MANY = 20_000;
const native = loadNative();
const dir = createStateDir();

/** Pins outlive a run that was killed. */
function removeLeftPins(): void {
  for (const name of readdirSync('/sys/fs/bpf').filter((each) => /^ist-cli-\d+$/.test(each))) {
    if (!existsSync(`/proc/${name.slice('ist-cli-'.length)}`)) rmSync(`/sys/fs/bpf/${name}`, { recursive: true });
  }
}

beforeAll(async () => {
  removeLeftPins();
  mkdirSync(PINS);
  using object = BpfObject.open(native, join(ROOT, 'build/bpf/datapath.bpf.o'));
  object.setMaxEntries('flows', 65_536);
  await object.load();
  for (const map of MAPS) object.pinMap(map, join(PINS, map));
  writePods(object);
  writeServices(object);
  writeFlows(object);
  writeDrops(object);
  writeCounters(object);
  writeCounts(object);
  dir.writeEndpoint(anEndpoint({ addresses: ['10.244.1.2'] }));
  const policies = { internalTrafficPolicy: 'Cluster', externalTrafficPolicy: 'Local' } as const;
  const web = { id: 7, namespace: 'shop', name: 'web', port: 'http', type: 'NodePort', ...policies } as const;
  dir.writeState(agentState({ bpffs: PINS, services: [web] }));
});

afterAll(() => {
  rmSync(PINS, { recursive: true, force: true });
  dir[Symbol.dispose]();
});

function writeCounts(object: BpfObject): void {
  using totals = object.map('flow_totals');
  totals.set(0, { entries: 60_000 });
  using counts = object.map('flow_counts');
  const walk = { walk_open: 0, walk_unanswered: 0, walk_closed: 0 };
  counts.set(7, { open: 29_000, unanswered: 9, closed: 500, refused: 12n, ...walk });
  counts.set(3, { open: 500, unanswered: 0, closed: 0, refused: 0n, ...walk });
}

function writePods(object: BpfObject): void {
  using endpoints = object.map('endpoints');
  const common = { mac: '02:00:00:00:00:02', mtu: 1500, nat_address: '192.0.2.11' };
  endpoints.set('192.0.2.11', { ...common, flags: 1, ifindex: 0, ...blocks(256, 36864) });
  endpoints.set('10.244.1.2', { ...common, flags: 0, ifindex: 7, ...blocks(256, 37120) });
  using routes = object.map('routes');
  routes.set({ prefix_length: 120, prefix: '10.244.2.0' }, { type: 1, next_hop: '192.0.2.12' });
  routes.set({ prefix_length: 96, prefix: '0.0.0.0' }, { type: 2, next_hop: '::' });
  routes.set({ prefix_length: 48, prefix: 'fd00:1::' }, { type: 3, next_hop: '::' });
}

function writeServices(object: BpfObject): void {
  using services = object.map('services');
  const internal = { generation: 2, backend_count: 1 };
  const external = { generation: 0, backend_count: 0 };
  const flags = SERVICE_FLAGS.SERVICE_DROP_EXTERNAL | SERVICE_FLAGS.SERVICE_SOURCE_RANGES;
  services.set(
    { address: '192.0.2.11', port: 30080, protocol: 6 },
    { id: 7, flags, affinity: 10_800, sets: [internal, external] },
  );
  services.set(
    { address: '10.96.0.1', port: 0, protocol: 0 },
    { id: 7, flags: SERVICE_FLAGS.SERVICE_ADDRESS, affinity: 0, sets: [external, external] },
  );
  using affinities = object.map('affinities');
  const now = monotonicSeconds();
  for (const [client, ago] of [
    ['198.51.100.9', 800],
    ['198.51.100.10', 11_000],
  ] as const) {
    affinities.set({ client, service_id: 7 }, { address: '10.244.1.2', port: 8080, slot: 0, seen: (now - ago) >>> 0 });
  }
  using backends = object.map('backends');
  backends.set({ service_id: 7, generation: 2, slot: 0 }, { address: '10.244.1.2', port: 8080 });
  backends.set({ service_id: 7, generation: 1, slot: 0 }, { address: '10.244.9.9', port: 8080 });
  using hits = object.map('hits');
  for (const [address, connections] of [
    ['10.244.9.9', 2n],
    ['10.244.1.2', 40n],
  ] as const) {
    const counters = Array.from({ length: native.possibleCpus }, (_, cpu) => ({
      connections: cpu === 0 ? connections : 1n,
    }));
    hits.set({ address, service_id: 7, port: 8080 }, counters);
  }
}

const ENTRY = { ifindex_in: 7, ifindex_out: 2, next_hop: '192.0.2.1', mac: '02:00:00:00:00:02', mtu: 1500 };
const TIMES = { seen: 100, created: 90, resolved: 90, shift: 0, timestamp: 0, sequence: 0, clock: 0, acknowledged: 0 };

function writeFlows(object: BpfObject): void {
  using flows = object.map('flows');
  const remote = '198.51.100.9';
  const key = { source: '10.244.1.2', destination: remote, source_port: 50_000, destination_port: 443, protocol: 6 };
  const out = { source: '192.0.2.11', destination: remote, source_port: 37_121, destination_port: 443 };
  const back = { source: remote, destination: '192.0.2.11', source_port: 443, destination_port: 37_121, protocol: 6 };
  const inside = { source: remote, destination: '10.244.1.2', source_port: 443, destination_port: 50_000 };
  flows.set(key, { ...ENTRY, ...TIMES, ...out, flags: 2 | 16, packets: 3n, bytes: 2n ** 60n });
  flows.set(back, { ...ENTRY, ...TIMES, ...inside, flags: 1 | 4 | 8 | 16, packets: 4n, bytes: 400n });
}

function writeDrops(object: BpfObject): void {
  using drops = object.map('drops');
  const counters = Array.from({ length: native.possibleCpus }, (_, cpu) => ({ packets: BigInt(cpu + 1), bytes: 100n }));
  drops.set({ reason: 10, direction: 1 }, counters);
}

function writeCounters(object: BpfObject): void {
  using map = object.map('nat_counters');
  const probes = Array.from({ length: 16 }, (_, bucket) => (bucket === 3 ? 2n : 0n));
  const counter = { created: 500n, reused: 4n, shifted: 3n, forced: 2n, exhausted: 1n, probes };
  map.set(
    0,
    Array.from({ length: native.possibleCpus }, () => counter),
  );
}

async function items(...args: string[]): Promise<Record<string, unknown>[]> {
  const { status, stdout, stderr } = await runCli(...args, '-o', 'json', '--state-dir', dir.path);
  expect(stderr).toBe(`note: the agent of node n1 is down; reading pinned maps in ${PINS}\n`);
  expect(status).toBe(0);
  return JSON.parse(stdout).items;
}

test('flow list joins both directions and names flags with the BTF of the map', async () => {
  expect(await items('flow', 'list')).toMatchObject([
    {
      pod: { namespace: 'shop', name: 'web-0' },
      state: 'established',
      translated: { source: { address: '192.0.2.11', port: 37_121 } },
      flags: ['rewrite_source', 'seen_reply'],
      packets: 3,
      bytes: '1152921504606846976',
      reply: { packets: 4, bytes: 400 },
    },
  ]);
});

test('nat list filters by remote and by address', async () => {
  const found = await items('nat', 'list', '--remote', '198.51.100.9:443', '--address', '192.0.2.11');
  expect(found).toMatchObject([{ inside: { address: '10.244.1.2', port: 50_000 }, outside: { port: 37_121 } }]);
  const { status, stdout, stderr } = await runCli(
    'nat',
    'list',
    '--remote',
    '198.51.100.9:80',
    '--state-dir',
    dir.path,
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  expect(stderr).toContain('No NAT entries.');
});

test('nat who finds the pod by its live flow', async () => {
  expect(await items('nat', 'who', '192.0.2.11:37121', '--proto', 'tcp', '--remote', '198.51.100.9:443')).toMatchObject(
    [
      {
        owner: { kind: 'Pod', name: 'web-0', uid: 'uid' },
        evidence: 'flow',
        inside: { port: 50_000 },
        ports: { first: 37_120 },
      },
    ],
  );
});

test('nat who finds the pod by its block, and says that no flow uses the port', async () => {
  const { status, stdout, stderr } = await runCli('nat', 'who', '192.0.2.11:37300', '--state-dir', dir.path);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^shop\/web-0 +uid +n1 +37120-37375 /m);
  expect(stderr).toContain('no live flow uses this port now');
});

test.each([
  ['192.0.2.11:40000', 'port 40000 is in block 12 (39936-40191)'],
  ['192.0.2.11:30080', 'it is the frontend of service shop/web'],
  ['192.0.2.99:37121', 'node n1 translates to 192.0.2.11, not to 192.0.2.99'],
])('nobody is behind %s', async (what, reason) => {
  const { status, stdout, stderr } = await runCli('nat', 'who', what, '--state-dir', dir.path);
  expect({ status, stdout }).toEqual({ status: 5, stdout: '' });
  expect(stderr).toContain(`nobody is behind ${what}: ${reason}`);
});

test('nat stats has blocks, owners and counters of all CPUs', async () => {
  const cpus = native.possibleCpus;
  const [item] = await items('nat', 'stats');
  expect(item).toMatchObject({
    node: 'n1',
    addresses: [
      { address: '192.0.2.11', blocks: { total: 112, used: 2, held: 0, free: 110 }, flows: 1, portsInUse: 1 },
    ],
    owners: [
      { owner: { kind: 'Pod', name: 'web-0' }, flows: 1, busiest: { remote: { address: '198.51.100.9', port: 443 } } },
      { owner: { kind: 'Node', name: 'n1' }, flows: 0 },
    ],
    choices: { created: 500 * cpus, reused: 4 * cpus, shifted: 3 * cpus, forced: 2 * cpus, exhausted: cpus },
  });
  expect(item).toHaveProperty('choices.probes.3', { from: 5, to: 8, count: 2 * cpus });
  expect(item).not.toHaveProperty('journal');
});

test('nat stats says how full the flow table is, and who has the most flows', async () => {
  const [item] = await items('nat', 'stats');
  expect(item).toMatchObject({
    flowTable: { entries: 60_000, maxEntries: 65_536, usedPercent: 91.6 },
    talkers: [
      {
        pod: { namespace: 'shop', name: 'web-0' },
        flows: 29_500,
        open: 29_000,
        unanswered: 9,
        closed: 500,
        refused: 12,
      },
      { flows: 500 },
    ],
  });
});

test('status says so when the flow table is nearly full', async () => {
  const { stdout, stderr } = await runCli('status', '--state-dir', dir.path, '-o', 'json');
  expect(JSON.parse(stdout).items[0].flows).toEqual({ entries: 60_000, maxEntries: 65_536, usedPercent: 91.6 });
  expect(stderr).toContain('the flow table is 91.6 % full (60000 of 65536 entries)');
  expect(stderr).toContain('most flows: shop/web-0 29500 (9 unanswered)');
});

test('nat stats prints its tables below each other', async () => {
  const { status, stdout } = await runCli('nat', 'stats', '--state-dir', dir.path);
  expect(status).toBe(0);
  const first = ['ADDRESS ', 'OWNER ', 'CREATED ', 'FLOW TABLE ', 'TALKER '];
  expect(stdout.match(/^(ADDRESS|OWNER|CREATED|FLOW TABLE|TALKER) /gm)).toEqual(first);
});

test('routes are CIDRs with the names of their types', async () => {
  expect((await items('route', 'list')).map(({ prefix, type, nextHop }) => [prefix, type, nextHop])).toEqual([
    ['0.0.0.0/0', 'native', undefined],
    ['10.244.2.0/24', 'node', '192.0.2.12'],
    ['fd00:1::/48', 'unreachable', undefined],
  ]);
});

test('services have the backends of their generation', async () => {
  expect(await items('service', 'list')).toMatchObject([
    {
      service: { namespace: 'shop', name: 'web' },
      frontend: { address: '192.0.2.11', port: 30_080 },
      backendCount: 1,
      backends: [{ address: '10.244.1.2', port: 8080 }],
      generation: 2,
      external: { backendCount: 0, backends: [] },
      policy: { internal: 'Cluster', external: 'Local' },
      affinitySeconds: 10_800,
      flags: ['drop_external', 'source_ranges'],
    },
  ]);
});

test('services have the connections of each backend, of all CPUs', async () => {
  const [item] = await items('service', 'list');
  const others = native.possibleCpus - 1;
  expect(item).toMatchObject({
    hits: 42 + 2 * others,
    backendHits: [
      { address: '10.244.1.2', port: 8080, connections: 40 + others },
      { address: '10.244.9.9', port: 8080, connections: 2 + others },
    ],
  });
  const { stdout } = await runCli('service', 'list', '-o', 'wide', '--state-dir', dir.path);
  expect(stdout).toContain(`10.244.1.2:8080=${40 + others},10.244.9.9:8080=${2 + others}`);
});

test('clients are listed that a service remembers, until their time is over', async () => {
  const [item, ...rest] = await items('affinity', 'list');
  expect(rest).toEqual([]);
  expect(item).toMatchObject({
    client: '198.51.100.9',
    service: { namespace: 'shop', name: 'web' },
    backend: { address: '10.244.1.2', port: 8080 },
  });
  const { ageSeconds, remainingSeconds } = item as { ageSeconds: number; remainingSeconds: number };
  expect(ageSeconds).toBeGreaterThanOrEqual(800);
  expect(ageSeconds + remainingSeconds).toBe(10_800);
});

test('an endpoint is ready when the datapath has its addresses', async () => {
  expect(await items('endpoint', 'list')).toMatchObject([
    { pod: { name: 'web-0' }, ready: true, natAddresses: ['192.0.2.11'], ports: [{ first: 37_120, last: 37_375 }] },
  ]);
});

test('drops are summed over CPUs', async () => {
  const packets = (native.possibleCpus * (native.possibleCpus + 1)) / 2;
  const bytes = native.possibleCpus * 100;
  expect(await items('drop', 'list')).toMatchObject([
    { reason: 'DROP_NO_FLOW', direction: 'from_netdev', packets, bytes },
  ]);
});

test('drop list --watch prints what is there, and then what grows, at once', async () => {
  const args = ['drop', 'list', '--watch', '-o', 'jsonl', '--state-dir', dir.path];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value as string);
  expect(await next()).toMatchObject({ reason: 'DROP_NO_FLOW' });
  using drops = openPinnedMap(native, join(PINS, 'drops'));
  const grown = Array.from({ length: native.possibleCpus }, () => ({ packets: 1n, bytes: 60n }));
  drops.set({ reason: 5, direction: 0 }, grown);
  expect(await next()).toMatchObject({ reason: 'DROP_SPOOFED', newPackets: native.possibleCpus });
  drops.delete({ reason: 5, direction: 0 });
  child.kill();
});

test('map list counts entries', async () => {
  const maps = await items('map', 'list');
  expect(maps.map(({ name }) => name)).toEqual([...MAPS].sort());
  expect(maps.find(({ name }) => name === 'flows')).toMatchObject({
    type: 'hash',
    entries: 2,
    maxEntries: 65_536,
    keyBytes: 40,
  });
  expect(maps.find(({ name }) => name === 'drops')).toMatchObject({ type: 'percpu_hash', valueBytes: 16 });
});

test('map dump names every field of keys and values', async () => {
  expect(await items('map', 'dump', 'backends')).toContainEqual({
    node: 'n1',
    key: { service_id: 7, generation: 2, slot: 0 },
    value: { address: '10.244.1.2', port: 8080 },
  });
});

test('map dump shows a per-CPU value by CPU', async () => {
  const cpus = (await items('map', 'dump', 'drops')).map(({ cpu }) => cpu);
  expect(cpus).toEqual(Array.from({ length: native.possibleCpus }, (_, cpu) => cpu));
});

test('map dump --raw shows the bytes', async () => {
  expect(await items('map', 'dump', 'backends', '--raw')).toContainEqual({
    node: 'n1',
    key: '070000000200000000000000',
    value: '00000000000000000000ffff0af401021f90000000000000',
  });
});

test('a map that is not there ends with 5 and names those that are', async () => {
  const { status, stderr } = await runCli('map', 'dump', 'nonsense', '--state-dir', dir.path);
  expect(status).toBe(5);
  expect(stderr).toContain(`no map 'nonsense' on node n1: there is ${[...MAPS].sort().join(', ')}`);
});

test('a long dump streams, and ends quietly when the reader goes away', async () => {
  using map = openPinnedMap(native, join(PINS, 'backends'));
  const rows = Array.from({ length: MANY }, (_, slot) => {
    return [
      { service_id: 8, generation: 1, slot },
      { address: '10.244.1.2', port: 80 },
    ] as const;
  });
  map.setMany(rows);
  const { stdout } = await runCli('map', 'dump', 'backends', '--no-headers', '--state-dir', dir.path);
  expect(stdout.trimEnd().split('\n')).toHaveLength(MANY + 2);
  const command = `'${process.execPath}' '${MAIN}' map dump backends --state-dir '${dir.path}'`;
  const piped = spawnSync('bash', ['-c', `${command} 2>/dev/null | head -1; echo "\${PIPESTATUS[0]}"`]);
  expect(piped.stdout.toString()).toMatch(/^KEY\.SERVICE_ID .*\n0\n$/);
});
