// What is larger than the next hop takes: who is told, who learns it, and what is cut instead.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import type { Endpoint } from '../../src/datapath/types.gen.js';
import {
  BACKEND_PORT,
  type Family,
  NODE,
  NODE_PORT,
  OUT,
  openSmallNode,
  type Report,
  SERVICE_PORT,
  type SmallNode,
  VIP,
} from '../support/small-node.js';

const OUT_PORT = 7000;
/** Echoes datagrams in fragments. */
const REORDER_PORT = 7001;
const FAMILIES = ['ipv4', 'ipv6'] as const;
const NARROW = 1300;
/** Bytes of payload that fit the devices and not the narrow step. */
const LARGE = 1400;
const TCP_BYTES = 300_000;

let node: SmallNode;
let pods: Readonly<Record<'a' | 'b', Readonly<Record<Family, string>>>>;

beforeAll(async () => {
  node = await openSmallNode('a', 'b');
  await node.startAgent();
  pods = { a: node.addPod('a'), b: node.addPod('b') };
  await node.serve(pods.a);
  await node.start('a', 'serve', '--port', String(BACKEND_PORT));
  await node.start('out', 'serve', '--port', String(OUT_PORT));
  for (const family of FAMILIES)
    await node.start('out', 'reorder', '--bind', OUT[family], '--port', String(REORDER_PORT), '--order', 'kept');
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

afterEach(() => {
  widen();
  for (const short of ['b', 'out']) setDiscovery(short, true);
});

/** The routing table of the node says that the way to outside takes only so much. */
function narrowOutside(mtu: number): void {
  node.namespaces.run('node', ['ip', 'route', 'replace', `${OUT.ipv4}/32`, 'dev', 'eth0', 'mtu', 'lock', String(mtu)]);
  const six = String(Math.max(mtu, 1280));
  node.namespaces.run('node', ['ip', 'route', 'replace', `${OUT.ipv6}/128`, 'dev', 'eth0', 'mtu', 'lock', six]);
  forget();
}

/** The device of the pod behind the service takes only so much; who sends to it cannot know. */
function narrowPod(mtu: number): void {
  const map = openPinnedMap<string, Endpoint>(loadNative(), join(node.stateDir, 'bpf/endpoints'));
  try {
    for (const family of FAMILIES) {
      const endpoint = map.get(pods.a[family]);
      if (endpoint !== undefined) map.set(pods.a[family], { ...endpoint, mtu });
    }
  } finally {
    map.close();
  }
  forget();
}

function widen(): void {
  for (const address of [`${OUT.ipv4}/32`, `${OUT.ipv6}/128`]) quiet('node', ['ip', 'route', 'del', address]);
  narrowPod(1500);
}

/** What senders learnt before. */
function forget(): void {
  for (const short of ['a', 'b', 'out', 'node'])
    for (const family of ['-4', '-6']) quiet(short, ['ip', family, 'route', 'flush', 'cache']);
}

function quiet(short: string, argv: readonly string[]): void {
  node.namespaces.run(short, ['sh', '-c', '"$@" 2>/dev/null || true', 'sh', ...argv]);
}

/** Without it, senders do not set DF. */
function setDiscovery(short: string, on: boolean): void {
  const value = on ? '0' : '1';
  node.namespaces.run(short, ['sh', '-c', `echo ${value} > /proc/sys/net/ipv4/ip_no_pmtu_disc`]);
}

/** What a place has learnt of the way to an address, bytes. */
function learnt(short: string, address: string): number | undefined {
  const said = node.namespaces.run(short, ['ip', 'route', 'get', address]);
  const mtu = /\bmtu (?:lock )?(\d+)/.exec(said)?.[1];
  return mtu === undefined ? undefined : Number(mtu);
}

interface Way {
  readonly from: string;
  readonly address: string;
  readonly port: number;
}

function echo({ from, address, port }: Way, size = LARGE): Promise<Report> {
  return node.probe(from, 'udp', address, String(port), 'echo', String(size), '--timeout', '400');
}

/** The first datagram is lost and its sender told; the next one is cut by the sender. */
async function expectDiscovery(way: Way): Promise<void> {
  expect(learnt(way.from, way.address)).toBeUndefined();
  expect((await echo(way)).ok).toBe(false);
  expect(learnt(way.from, way.address)).toBe(NARROW);
  expect(await echo(way)).toMatchObject({ ok: true, bytes: LARGE });
}

/** Fragments that a place had to put together. */
function reassembled(short: string): number {
  const [names = '', values = ''] = node.namespaces
    .run(short, ['cat', '/proc/net/snmp'])
    .split('\n')
    .filter((line) => line.startsWith('Ip:'));
  return Number(values.split(' ')[names.split(' ').indexOf('ReasmReqds')]);
}

describe.each(FAMILIES)('D8 %s: the node is the step, and says so', (family) => {
  test('from a pod to outside, UDP', async () => {
    narrowOutside(NARROW);
    await expectDiscovery({ from: 'b', address: OUT[family], port: OUT_PORT });
  });

  test('from a pod to outside, TCP: nothing of the stream is lost', async () => {
    narrowOutside(NARROW);
    const report = await node.probe('b', 'tcp', OUT[family], String(OUT_PORT), 'sink', String(TCP_BYTES));
    expect(report).toMatchObject({ ok: true, bytes: TCP_BYTES });
    expect(learnt('b', OUT[family])).toBe(NARROW);
  });

  test.each([
    ['a VIP', VIP, SERVICE_PORT],
    ['a NodePort', NODE, NODE_PORT],
  ] as const)('from outside to a pod by %s: told in the words of the sender', async (_, addresses, port) => {
    narrowPod(NARROW);
    await expectDiscovery({ from: 'out', address: addresses[family], port });
  });

  test('from a pod to a pod by a VIP, and directly', async () => {
    narrowPod(NARROW);
    await expectDiscovery({ from: 'b', address: VIP[family], port: SERVICE_PORT });
    await expectDiscovery({ from: 'b', address: pods.a[family], port: BACKEND_PORT });
  });

  test("a pod's answer to outside is cut by the pod once it knows", async () => {
    narrowOutside(NARROW);
    const way = { from: 'out', address: VIP[family], port: SERVICE_PORT };
    expect((await echo(way)).ok).toBe(false);
    expect(learnt('a', OUT[family])).toBe(NARROW);
    expect(await echo(way)).toMatchObject({ ok: true, bytes: LARGE });
  });

  test('fragments that are too large are refused to their sender, who may cut smaller ones', async () => {
    narrowOutside(NARROW);
    // The sender sets DF on fragments of what it learns; the probe's own ones have none and would be cut.
    const ping = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', String(LARGE), OUT[family]];
    expect(node.namespaces.run('b', ['sh', '-c', '"$@" || true', 'sh', ...ping])).toMatch(/(mtu|MTU)[ =:]*1300/);
  });
});

describe('IPv4 without DF is cut, not refused', () => {
  test.each([
    [1499, 2],
    [1280, 2],
    [600, 3],
  ])('from a pod to outside over %i bytes: %i pieces', async (mtu, pieces) => {
    narrowOutside(mtu);
    setDiscovery('b', false);
    const before = reassembled('out');
    // Also the first one, whose flow is only made by it.
    expect(await echo({ from: 'b', address: OUT.ipv4, port: OUT_PORT }, 1472)).toMatchObject({ ok: true, bytes: 1472 });
    expect(reassembled('out') - before).toBe(pieces);
    expect(learnt('b', OUT.ipv4)).toBeUndefined();
  });

  test('TCP', async () => {
    narrowOutside(NARROW);
    setDiscovery('b', false);
    const before = reassembled('out');
    const report = await node.probe('b', 'tcp', OUT.ipv4, String(OUT_PORT), 'sink', String(TCP_BYTES));
    expect(report).toMatchObject({ ok: true, bytes: TCP_BYTES });
    expect(reassembled('out') - before).toBeGreaterThan(200);
    expect(learnt('b', OUT.ipv4)).toBeUndefined();
  });

  test('an echo request', () => {
    narrowOutside(NARROW);
    const ping = ['ping', '-n', '-c', '5', '-i', '0.02', '-W', '1', '-M', 'dont', '-s', String(LARGE), OUT.ipv4];
    expect(node.namespaces.run('b', ping)).toMatch(/ 0% packet loss/);
  });

  test.each([
    ['kept', NARROW],
    ['reversed', NARROW],
    ['shuffled', 600],
  ])('fragments of 1400 bytes, %s, over %i bytes are cut once more', async (order, mtu) => {
    narrowOutside(mtu);
    const numbers = { size: 8000, count: 100, rate: 1000, fragment: 1400, order, timeout: 500 };
    const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const report = await node.probe('b', 'fragments', 'udp', OUT.ipv4, String(REORDER_PORT), ...flags);
    expect(report).toMatchObject({ sent: 100, received: 100, damaged: 0 });
  });

  test.each([
    ['a VIP', VIP.ipv4, SERVICE_PORT],
    ['a NodePort', NODE.ipv4, NODE_PORT],
  ])('from outside to a pod by %s', async (_, address, port) => {
    narrowPod(NARROW);
    setDiscovery('out', false);
    const before = reassembled('a');
    expect(await echo({ from: 'out', address, port })).toMatchObject({ ok: true, bytes: LARGE });
    expect(reassembled('a') - before).toBe(2);
  });

  test('from a pod to a pod, by a VIP and directly', async () => {
    narrowPod(NARROW);
    setDiscovery('b', false);
    const before = reassembled('a');
    expect((await echo({ from: 'b', address: VIP.ipv4, port: SERVICE_PORT })).ok).toBe(true);
    expect((await echo({ from: 'b', address: pods.a.ipv4, port: BACKEND_PORT })).ok).toBe(true);
    expect(reassembled('a') - before).toBe(4);
  });

  test('below 576 bytes, and without the namespaces, it is refused like with DF', async () => {
    setDiscovery('b', false);
    narrowOutside(570);
    expect((await echo({ from: 'b', address: OUT.ipv4, port: OUT_PORT })).ok).toBe(false);
    await node.killAgent();
    await node.startAgent('--fragments', 'cache');
    narrowOutside(NARROW);
    expect((await echo({ from: 'b', address: OUT.ipv4, port: OUT_PORT })).ok).toBe(false);
  }, 30_000);
});
