// Port blocks with a real agent and real connections: more of them on request, quotas, exhaustion, restarts, removal.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../src/api/journal-reader.js';
import { DROP_REASON } from '../../src/datapath/types.gen.js';
import type { Tenure } from '../../src/model/block-replay.js';
import type { Endpoint, PortBlocks } from '../../src/model/endpoint.js';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { runCli } from '../support/cli.js';
import { egressPool } from '../support/node-manifests.js';
import { BEYOND, type HeldConnections, NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

const SIZE = 16;
const FIRST = 60_000;
/** 16 blocks: the node's, 14 for pods, and one that reserved ports touch. */
const NAT = {
  ports: '60000-60255',
  blockSize: SIZE,
  blocksPerPod: { initial: 1, maximum: 3 },
  podsPerNode: 0,
  reservedPorts: ['60250-60255'],
};
const FULL = 3 * SIZE;

let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests({ nat: NAT });
  await node.startAgent();
  for (const pod of ['a', 'b']) await node.addPod(pod);
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const who = (pod: string, to: string) => node.probe(pod, 'tcp', to, String(PORT), 'who', '--timeout', '6000');

async function endpointOf(pod: string): Promise<Endpoint> {
  const endpoint = (await node.status())?.endpoints.find(({ containerID }) => containerID === `container-${pod}`);
  if (endpoint === undefined) throw new Error(`no endpoint ${pod}`);
  return endpoint;
}

/** Changes manifests and waits until that is in force. */
async function apply(change: () => void): Promise<void> {
  const before = (await node.status())?.state.updated;
  change();
  await node.waitFor(({ state }) => state.updated !== before);
}

/** What a pod has in IPv4. */
async function natOf(pod: string): Promise<PortBlocks> {
  const [nat] = (await endpointOf(pod)).nat;
  if (nat === undefined) throw new Error(`${pod} owns no blocks`);
  return nat;
}

const blockOf = (port: number) => Math.floor((port - FIRST) / SIZE);

/** Outside ports of a pod's flows to a remote, each once. */
async function portsOf(pod: string, remote: string): Promise<number[]> {
  const { addresses } = await endpointOf(pod);
  const flows = node.flows().filter(({ key }) => addresses.includes(key.source) && key.destination === remote);
  const ports = flows.map(({ value }) => value.source_port).filter((port) => port >= FIRST);
  return [...new Set(ports)];
}

/** Who had a port, as the journal knows it, now. */
function tenures(port: number, address: string = NODE.ipv4): Tenure[] {
  const now = Date.now();
  return openJournal(join(node.stateDir, 'journal')).history.at({ address, port, from: now, to: now });
}

const containerOf = ({ grant: { owner } }: Tenure) => (owner.kind === 'Pod' ? owner.containerID : owner.name);

describe('a pod that needs more ports than its first block has', () => {
  let held: HeldConnections;
  afterAll(() => held?.close());

  test('gets more blocks when it asks, up to its maximum, and every connection succeeds', async () => {
    expect((await natOf('a')).blocks).toHaveLength(1);
    held = await node.holdConnections('a', OUTSIDE.ipv4, FULL);
    expect(held).toMatchObject({ open: FULL, errors: {} });
    const { address, blocks } = await natOf('a');
    expect(address).toBe(NODE.ipv4);
    expect(new Set(blocks).size).toBe(3);
    // All of what it may use towards one remote, and from nowhere else.
    const ports = await portsOf('a', OUTSIDE.ipv4);
    expect(ports).toHaveLength(FULL);
    expect(new Set(ports.map(blockOf))).toEqual(new Set(blocks));
    const granted = node.log().filter(({ msg }) => msg === 'port block granted on request');
    expect(granted).toEqual([
      expect.objectContaining({ containerID: 'container-a', address, blocks: 2 }),
      expect.objectContaining({ containerID: 'container-a', address, blocks: 3 }),
    ]);
  });

  test('is behind all of its ports for the journal and for nat who', async () => {
    const { blocks } = await natOf('a');
    for (const block of blocks) {
      expect(tenures(FIRST + block * SIZE + 5).map(containerOf)).toEqual(['container-a']);
    }
    const free = [...Array(15).keys()].filter((block) => block > 2 && !blocks.includes(block)).at(-1) ?? 0;
    expect(tenures(FIRST + free * SIZE)).toEqual([]);
    const [port = 0] = (await portsOf('a', OUTSIDE.ipv4)).filter((each) => blockOf(each) === blocks.at(-1));
    const { stdout } = await runCli('nat', 'who', `${NODE.ipv4}:${port}`, '-o', 'json', '--state-dir', node.stateDir);
    const range = { first: FIRST + blockOf(port) * SIZE, last: FIRST + blockOf(port) * SIZE + SIZE - 1 };
    expect(JSON.parse(stdout)).toMatchObject({
      items: [{ owner: { kind: 'Pod', name: 'a' }, ports: range }],
    });
  });

  test('is refused at once beyond that, with a reason and a name; others are not concerned', async () => {
    const refused = await node.holdConnections('a', OUTSIDE.ipv4, 10);
    await refused.close();
    expect(refused).toMatchObject({ open: 0, errors: { EHOSTUNREACH: 10 } });
    expect(Math.max(...refused.failed)).toBeLessThan(900);
    expect(node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)).toBeGreaterThanOrEqual(10);
    const told = node.log().filter(({ msg }) => String(msg).startsWith('ports exhausted'));
    expect(told[0]).toMatchObject({
      containerID: 'container-a',
      remote: OUTSIDE.ipv4,
      remotePort: PORT,
      protocol: 'tcp',
    });
    expect(`${told[0]?.reason}`).toContain('spec.nat.blocksPerPod.maximum');
    expect(told.length).toBeLessThan(5);
    const { stdout } = await runCli('nat', 'stats', '--state-dir', node.stateDir);
    expect(stdout).toMatch(/test\/a +ipv4 +\d+ +10 +192\.0\.2\.1:8080 +tcp/);

    expect(sawOf(await who('a', BEYOND.ipv4)).address).toBe(NODE.ipv4);
    const neighbour = sawOf(await who('b', OUTSIDE.ipv4));
    expect(blockOf(neighbour.port)).toBe((await natOf('b')).blocks[0]);
  });

  test('keeps them, and its connections, when the agent is killed and another one comes', async () => {
    const before = await natOf('a');
    const map = () =>
      node.entries<string, { blocks: number[] }>('endpoints').find(([key]) => key.startsWith('10.244.'));
    const entry = map();
    await node.endAgent('SIGKILL');
    await node.startAgent();
    expect(await natOf('a')).toEqual(before);
    expect(map()).toEqual(entry);
    expect(await portsOf('a', OUTSIDE.ipv4)).toHaveLength(FULL);
    for (const block of before.blocks) expect(tenures(FIRST + block * SIZE).map(containerOf)).toEqual(['container-a']);
  });

  test('loses them with its end, and others can have them', async () => {
    const { blocks } = await natOf('a');
    await held.close();
    await node.deletePod('a');
    for (const block of blocks) expect(tenures(FIRST + block * SIZE)).toEqual([]);
    await node.addPod('c');
    expect(blocks).toContain((await natOf('c')).blocks[0]);
    await node.deletePod('c');
  });
});

describe('IPv6', () => {
  test('has blocks of its own, which grow by themselves', async () => {
    const held = await node.holdConnections('b', OUTSIDE.ipv6, 2 * SIZE);
    expect(held).toMatchObject({ open: 2 * SIZE, errors: {} });
    const { nat } = await endpointOf('b');
    expect(nat.map(({ blocks }) => blocks.length)).toEqual([1, expect.any(Number)]);
    expect(nat[1]?.blocks.length).toBeGreaterThanOrEqual(2);
    expect(nat[1]?.address).toBe(NODE.ipv6);
    await held.close();
  });
});

describe('while no agent is there', () => {
  test('blocks go on working; what is asked for in vain is refused after a while, until an agent is back', async () => {
    await node.addPod('d');
    await node.endAgent('SIGKILL');
    const held = await node.holdConnections('d', OUTSIDE.ipv4, SIZE + 2);
    expect(held).toMatchObject({ open: SIZE, errors: { EHOSTUNREACH: 2 } });
    // SYNs at 0, 1 and 3 s: the last of them is answered.
    expect(Math.max(...held.failed)).toBeLessThan(8000);
    expect(sawOf(await who('d', BEYOND.ipv4)).address).toBe(NODE.ipv4);
    await node.startAgent();
    const more = await node.holdConnections('d', OUTSIDE.ipv4, SIZE);
    expect(more).toMatchObject({ open: SIZE, errors: {} });
    await more.close();
    await held.close();
    await node.deletePod('d');
  });
});

describe('quotas', () => {
  test('of a namespace end the growth of its pods, and the adding of more', async () => {
    await node.addPod('e');
    await apply(() => node.writeNetwork({ nat: { ...NAT, blocksPerNamespace: { namespaces: { test: 3 } } } }));
    const grown = (await natOf('b')).blocks.length + (await natOf('e')).blocks.length;
    expect(grown).toBe(2);
    const held = await node.holdConnections('e', OUTSIDE.ipv4, 2 * SIZE + 4);
    expect(held.open).toBe(2 * SIZE);
    expect((await natOf('e')).blocks).toHaveLength(2);
    await node.addNamespace('f');
    const refused = await node.cni('ADD', 'f');
    expect(refused.json).toMatchObject({ msg: expect.stringContaining('blocksPerNamespace') });
    await held.close();
    await node.deletePod('e');
    await apply(() => node.writeNetwork({ nat: NAT }));
    expect(await node.cni('ADD', 'f')).toMatchObject({ status: 0 });
    await node.deletePod('f');
  });
});

describe('a pool of addresses', () => {
  const NEAR = '192.0.2.77';
  const FAR = '203.0.113.9';
  const NEAR_V6 = '2001:db8:2::77';
  const pods = ['p', 'q', 'r'];

  beforeAll(async () => {
    // What is not on the link is led to the node by a router.
    await node.ip('outside', `route add ${FAR}/32 via ${NODE.ipv4}`);
    await apply(() => node.write('pool.yaml', egressPool([NEAR, FAR, NEAR_V6])));
    for (const pod of pods) await node.addPod(pod);
  });

  test('spreads pods over addresses, each with all its blocks of one', async () => {
    const used = await Promise.all(pods.map(natOf));
    // The node's own has a block in use, so new pods are bound to the others first.
    expect(used.map(({ address }) => address)).toEqual([NEAR, FAR, NODE.ipv4]);
    for (const pod of pods) {
      const { address } = await natOf(pod);
      const held = await node.holdConnections(pod, OUTSIDE.ipv4, FULL);
      expect(held).toMatchObject({ open: FULL, errors: {} });
      const sources = node.flows().filter(({ key }) => key.destination === OUTSIDE.ipv4 && key.protocol === 6);
      const { addresses } = await endpointOf(pod);
      const own = sources.filter(({ key }) => addresses.includes(key.source)).map(({ value }) => value.source);
      expect(new Set(own)).toEqual(new Set([address]));
      expect(sawOf(await who(pod, BEYOND.ipv4)).address).toBe(address);
      await held.close();
    }
  });

  test('is answered for by the node where it is on the link, and is no source of the node’s own', async () => {
    await node.ip('outside', 'neigh flush dev eth0');
    const [ping, ping6] = await Promise.all(
      [NEAR, NEAR_V6].map((to) => node.exec('outside', ['ping', '-c', '1', '-W', '2', to])),
    );
    expect([ping?.status, ping6?.status]).toEqual([0, 0]);
    for (const family of ['ipv4', 'ipv6'] as const) {
      expect(sawOf(await node.probe('node', 'tcp', OUTSIDE[family], String(PORT), 'who')).address).toBe(NODE[family]);
    }
  });

  test('is in the journal, in nat who and in nat stats', async () => {
    const { address, blocks } = await natOf('p');
    expect(tenures(FIRST + (blocks[1] ?? 0) * SIZE, address).map(containerOf)).toEqual(['container-p']);
    const { stdout } = await runCli('nat', 'stats', '-o', 'json', '--state-dir', node.stateDir);
    const [item] = (JSON.parse(stdout) as { items: { addresses: { address: string; blocks: object }[] }[] }).items;
    const listed = item?.addresses.map((each) => each.address);
    expect(new Set(listed)).toEqual(new Set([NODE.ipv4, NODE.ipv6, NEAR, FAR, NEAR_V6]));
    expect(item?.addresses.every(({ blocks: count }) => (count as { total: number }).total === 15)).toBe(true);
  });

  test('gives its addresses back; their pods are bound to another one, and what they had is released', async () => {
    const before = await natOf('q');
    node.write('pool.yaml', '');
    await expect.poll(async () => (await natOf('q')).address, { timeout: 5000 }).toBe(NODE.ipv4);
    await expect.poll(() => node.ip('node', 'addr show dev eth0')).not.toContain(FAR);
    expect(sawOf(await who('q', OUTSIDE.ipv4)).address).toBe(NODE.ipv4);
    // The record of the pod is the first to say so; the flows go next, and then the journal hears of it.
    await expect.poll(() => tenures(FIRST + (before.blocks[0] ?? 0) * SIZE, before.address)).toEqual([]);
    expect(node.flows().filter(({ value }) => value.source === before.address)).toEqual([]);
    for (const pod of pods) await node.deletePod(pod);
  });
});

describe('the host, while every block is in use', () => {
  const pods = ['h1', 'h2', 'h3', 'h4', 'h5'];
  const held: HeldConnections[] = [];

  beforeAll(async () => {
    await apply(() => node.writeNetwork({ nat: { ...NAT, blocksPerPod: { initial: 3, maximum: 3 } } }));
    await node.deletePod('b');
    // The kernel may choose from the NAT ports and a few others.
    await node.exec('node', ['sh', '-c', 'echo "59900 60255" >/proc/sys/net/ipv4/ip_local_port_range']);
    for (const pod of pods) await node.addPod(pod);
    for (const pod of pods) held.push(await node.holdConnections(pod, OUTSIDE.ipv4, FULL));
  });

  afterAll(async () => {
    for (const one of held) await one.close();
  });

  test('they are', async () => {
    const blocks = (await Promise.all(pods.map(natOf))).flatMap((nat) => nat.blocks);
    expect(new Set(blocks).size).toBe(14);
    const open = held.reduce((sum, one) => sum + one.open, 0);
    expect(open).toBe(14 * SIZE);
  });

  test('connects to the same server', async () => {
    const own = await node.holdConnections('node', OUTSIDE.ipv4, 60);
    expect(own).toMatchObject({ open: 60, errors: {} });
    const reports = await Promise.all(Array.from({ length: 20 }, () => who('node', OUTSIDE.ipv4)));
    const ports = reports.map((report) => sawOf(report).port);
    expect(ports.every((port) => port < FIRST)).toBe(true);
    await own.close();
  });

  test('listens on ports of its own and on reserved ones, but on no others of the range', async () => {
    const words = ['tcp', OUTSIDE.ipv4, String(PORT), 'who', '--source-port'];
    expect(`${(await node.probe('node', ...words, '60100')).error}`).toMatch(/EPERM/);
    expect(await node.probe('node', ...words, '60252')).toMatchObject({ ok: true });
    await node.startServer('node');
    const report = await node.probe('outside', 'tcp', NODE.ipv4, String(PORT), 'who', '--timeout', '2000');
    expect(sawOf(report).address).toBe(OUTSIDE.ipv4);
  });

  test('serves its NodePorts', async () => {
    await node.startServer('h1');
    const [backend = ''] = (await endpointOf('h1')).addresses;
    node.write('service.yaml', ...nodePortService(backend));
    const ask = () => node.probe('outside', 'tcp', NODE.ipv4, '30080', 'who', '--timeout', '1000');
    await expect.poll(async () => (await ask()).ok, { timeout: 5000 }).toBe(true);
  });

  test('none of the pods’ connections was lost meanwhile', async () => {
    const taken = await Promise.all(pods.map((pod) => portsOf(pod, OUTSIDE.ipv4)));
    expect(taken.map((ports) => ports.length)).toEqual(held.map(({ open }) => open));
  });
});

function nodePortService(backend: string): object[] {
  const port = { name: 'tcp', protocol: 'TCP', port: 80, targetPort: PORT, nodePort: 30080 };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'test' },
      spec: { type: 'NodePort', clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [port] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'test', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [backend], conditions: { ready: true } }],
      ports: [{ name: 'tcp', protocol: 'TCP', port: PORT }],
    },
  ];
}

test('the record of what was added to the uplink is empty again', async () => {
  const path = join(node.stateDir, 'uplink-addresses.json');
  expect(existsSync(path)).toBe(true);
  expect(await until(() => JSON.parse(readFileSync(path, 'utf8')).addresses.length === 0, 2000)).toBe(true);
});
