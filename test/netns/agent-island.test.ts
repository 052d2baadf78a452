// An island's flows over their whole life: ports, exhaustion, a full table, removal with and without an agent.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON, FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import { until } from '../../src/testbed/command.js';
import { PROBE } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { BEYOND, NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import type { FlowEntry } from '../support/pinned.js';

const RESERVED = '/proc/sys/net/ipv4/ip_local_reserved_ports';
const NAT_PORTS = { first: 36864, last: 65535 };
/** Packets to here vanish without an answer. */
const SILENT = '203.0.113.5';
/** Seconds; established TCP keeps its default. */
const TIMEOUTS = { tcpOpening: 2, tcpClosing: 1, udpOneWay: 1, udpTwoWay: 2, udpWellKnown: 1, icmp: 1 };

/** An agent that goes on, one that is killed, and one with little room. */
let node: AgentNode;
let orphan: AgentNode;
let small: AgentNode;

beforeAll(async () => {
  [node, orphan, small] = await Promise.all([AgentNode.open(), AgentNode.open(), AgentNode.open()]);
  await node.exec('node', ['sh', '-c', `echo 8081,9090-9095 >${RESERVED}`]);
  for (const one of [node, orphan]) await one.ip('outside', 'route add blackhole 203.0.113.0/24');
  node.writeManifests({ timeouts: TIMEOUTS });
  orphan.writeManifests({ timeouts: TIMEOUTS });
  small.writeManifests({ nat: { ports: '60000-61023', blockSize: 8 } });
  await Promise.all([node.startAgent(), orphan.startAgent(), small.startAgent({ 'flow-entries': '64' })]);
  await node.addPod('a');
  await orphan.addPod('a');
  await small.addPod('a');
  await small.addPod('b');
});

afterAll(async () => {
  for (const one of [node, orphan, small]) await one?.[Symbol.asyncDispose]();
});

const who = (on: AgentNode, pod: string, to: string, ...more: string[]) =>
  on.probe(pod, 'tcp', to, String(PORT), 'who', '--timeout', '2000', ...more);
const udp = (on: AgentNode, pod: string, to: string, ...more: string[]) =>
  on.probe(pod, 'udp', to, String(PORT), 'who', '--timeout', '1000', ...more);
const hold = (on: AgentNode, pod: string, to: string, seconds = 60) =>
  on.startProbe(pod, 'tcp', to, String(PORT), 'hold', '--seconds', String(seconds), '--rate', '20');

const text = (source: string, sourcePort: number, destination: string, destinationPort: number, protocol: number) =>
  `${protocol} ${source} ${sourcePort} > ${destination} ${destinationPort}`;

/** Entries without their other half. */
function halves(flows: readonly FlowEntry[]): string[] {
  const name = ({ key }: FlowEntry) =>
    text(key.source, key.source_port, key.destination, key.destination_port, key.protocol);
  const names = new Set(flows.map(name));
  return flows
    .filter(({ key, value }) => {
      const { source, source_port, destination, destination_port } = value;
      return !names.has(text(destination, destination_port, source, source_port, key.protocol));
    })
    .map(name);
}

/** Polls until only flows of established TCP are left; no half may be there twice in a row. */
async function untilRemoved(on: AgentNode, seconds: number): Promise<void> {
  let suspects: string[] = [];
  const removed = (): boolean => {
    const flows = on.flows();
    const now = halves(flows);
    expect(now.filter((name) => suspects.includes(name))).toEqual([]);
    suspects = now;
    return flows.every(({ key }) => key.protocol === 6);
  };
  expect(await until(removed, seconds * 1000)).toBe(true);
}

/** What the kernel says of its walks. */
function sweepOf(on: AgentNode): { last: number; removed_total: bigint } {
  const [entry] = on.entries<number, { last: number; removed_total: bigint }>('sweeps');
  if (entry === undefined) throw new Error('the map sweeps is empty');
  return entry[1];
}

/** Answered, and neither side has said that it ends. */
function isOpen({ flags }: FlowEntry['value']): boolean {
  const { FLOW_SEEN_REPLY, FLOW_FIN_ORIGINAL, FLOW_FIN_REPLY, FLOW_RESET } = FLOW_FLAGS;
  return (flags & FLOW_SEEN_REPLY) !== 0 && (flags & (FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY | FLOW_RESET)) === 0;
}

async function openManyFlows(on: AgentNode): Promise<void> {
  for (const to of [OUTSIDE.ipv4, OUTSIDE.ipv6, BEYOND.ipv4, BEYOND.ipv6]) {
    expect((await Promise.all(Array.from({ length: 6 }, () => udp(on, 'a', to)))).every(({ ok }) => ok)).toBe(true);
  }
  await on.exec('a', ['ping', '-c', '1', '-W', '1', OUTSIDE.ipv4]);
  expect(on.flows().length).toBeGreaterThanOrEqual(50);
}

/** Both at once: timeouts take their time. */
describe.concurrent('dead flows', () => {
  let killed = 0;
  let removedBefore = 0n;
  let lasting: ReturnType<typeof hold>;

  beforeAll(async () => {
    lasting = hold(orphan, 'a', OUTSIDE.ipv4);
    await openManyFlows(orphan);
    await orphan.endAgent('SIGKILL');
    removedBefore = sweepOf(orphan).removed_total;
    killed = performance.now();
  });

  test('are removed in pairs; a living one and one without answers stay', async () => {
    const living = hold(node, 'a', OUTSIDE.ipv4);
    const unanswered = node.startProbe('a', 'udp', SILENT, '9009', 'stream', '--rate', '5', '--seconds', '30');
    await openManyFlows(node);
    const toSilent = () => node.flows().filter(({ key }) => [key.source, key.destination].includes(SILENT)).length;
    expect(await until(() => node.flows().length === 4, 12_000)).toBe(true);
    expect(toSilent()).toBe(2);
    expect(halves(node.flows())).toEqual([]);
    await unanswered.stop();
    await untilRemoved(node, 12);
    const { ok, sent = 0, received } = await living.stop();
    expect({ ok, lost: sent - (received ?? 0) }).toEqual({ ok: true, lost: 0 });
  });

  test('are removed when no agent lives, in pairs; a living one stays', async () => {
    expect(orphan.isAlive()).toBe(false);
    await untilRemoved(orphan, 30 - (performance.now() - killed) / 1000);
    const { ok, sent = 0, received } = await lasting.stop();
    expect({ ok, lost: sent - (received ?? 0) }).toEqual({ ok: true, lost: 0 });
    expect(sent).toBeGreaterThan(50);
    // A walk counts what it removed when it has come to its end.
    await expect
      .poll(() => sweepOf(orphan).removed_total - removedBefore, { timeout: 5000 })
      .toBeGreaterThanOrEqual(50n);
  }, 40_000);
});

describe('the address of a pod that was deleted', () => {
  test('works for its next owner, from the same port to the same server', async () => {
    node.writeNode('10.244.5.0/30', 'fd00:244:5::/126');
    const first = await addWith(node, 'x', '10.244.5.');
    await node.addPod('y');
    const port = ['--source-port', '5555'];
    for (const to of [OUTSIDE.ipv4, SILENT]) await udp(node, 'x', to, ...port);
    expect(await who(node, 'x', OUTSIDE.ipv4, ...port)).toMatchObject({ ok: true });
    await node.deletePod('x');
    expect(node.flows().filter(({ key, value }) => [key.source, value.destination].includes(first))).toEqual([]);
    const next = await node.addPod('z');
    expect(next.ipv4).toBe(first);
    expect(await who(node, 'z', OUTSIDE.ipv4, ...port)).toMatchObject({ ok: true });
    expect(await udp(node, 'z', OUTSIDE.ipv4, ...port)).toMatchObject({ ok: true });
  });

  async function addWith(on: AgentNode, pod: string, prefix: string): Promise<string> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const { ipv4 } = await on.addPod(pod);
      if (ipv4.startsWith(prefix)) return ipv4;
      await on.deletePod(pod);
    }
    throw new Error(`no address ${prefix}: the new Node is not in force`);
  }
});

describe('NAT ports and the host', () => {
  test('they are reserved beside what was reserved before', async () => {
    const { stdout } = await node.exec('node', ['cat', RESERVED]);
    expect(stdout.trim()).toBe(`8081,9090-9095,${NAT_PORTS.first}-${NAT_PORTS.last}`);
  });

  test.each([
    ['tcp', OUTSIDE.ipv4],
    ['tcp', OUTSIDE.ipv6],
    ['udp', OUTSIDE.ipv4],
    ['udp', OUTSIDE.ipv6],
  ])('a process of the host cannot bind one for %s to %s, a pod can', async (protocol, to) => {
    const words = [protocol, to, String(PORT), 'who', '--source-port', '40000', '--timeout', '1000'];
    const refused = await node.probe('node', ...words);
    expect(`${refused.error}`).toMatch(/EPERM/);
    expect(await node.probe('a', ...words)).toMatchObject({ ok: true });
    const below = words.map((word) => (word === '40000' ? '36000' : word));
    expect(await node.probe('node', ...below)).toMatchObject({ ok: true });
  });

  test('a connection of the host never gets one', async () => {
    const once = `"$0" tcp ${OUTSIDE.ipv4} ${PORT} who; "$0" udp ${OUTSIDE.ipv6} ${PORT} who`;
    const { stdout } = await node.exec('node', ['sh', '-c', `for i in $(seq 200); do ${once}; done`, PROBE], 60_000);
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const ports = reports.map((report) => sawOf(report).port);
    expect(reports.every(({ ok }) => ok)).toBe(true);
    expect(ports).toHaveLength(400);
    expect(ports.filter((port) => port >= NAT_PORTS.first)).toEqual([]);
  });
});

describe('a block of 8 ports', () => {
  test.each([
    ['ipv4', 'EHOSTUNREACH', 500],
    // Linux drops an ICMPv6 error that comes back while connect() is still sending, and believes the next one.
    ['ipv6', 'EACCES', 1500],
  ] as const)('that is taken towards one remote refuses at once, and only there (%s)', async (family, error, limit) => {
    const before = small.drops(DROP_REASON.DROP_PORTS_EXHAUSTED);
    const held = Array.from({ length: 8 }, () => hold(small, 'a', OUTSIDE[family]));
    // Of what has ended, entries stay until their time is up.
    const open = () => small.flows().filter(({ key, value }) => key.destination === OUTSIDE[family] && isOpen(value));
    await expect.poll(() => open().length, { timeout: 5000 }).toBe(8);
    const refused = await who(small, 'a', OUTSIDE[family]);
    expect(refused).toMatchObject({ ok: false, error });
    expect(refused.ms).toBeLessThan(limit);
    expect(small.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)).toBeGreaterThan(before);

    const other = sawOf(await who(small, 'a', BEYOND[family]));
    expect(other).toMatchObject({ address: NODE[family] });
    const neighbour = sawOf(await who(small, 'b', OUTSIDE[family]));
    expect(neighbour).toMatchObject({ address: NODE[family] });
    expect([Math.floor((other.port - 60000) / 8), Math.floor((neighbour.port - 60000) / 8)]).toEqual([1, 2]);
    for (const report of await Promise.all(held.map(({ stop }) => stop()))) expect(report.ok).toBe(true);
    await expect.poll(() => who(small, 'a', OUTSIDE[family]), { timeout: 10_000 }).toMatchObject({ ok: true });
  });
});

describe('a full flow table', () => {
  test('refuses what is new and counts it; what is established goes on', async () => {
    const established = hold(small, 'b', BEYOND.ipv4);
    await expect.poll(() => small.flows().some(({ key }) => key.source === BEYOND.ipv4)).toBe(true);
    const before = small.drops(DROP_REASON.DROP_FLOW_TABLE_FULL);
    const targets = [OUTSIDE.ipv4, OUTSIDE.ipv6, BEYOND.ipv4, BEYOND.ipv6];
    for (const to of targets) await Promise.all(Array.from({ length: 8 }, () => udp(small, 'a', to)));
    // The last tenth is not for who has filled the rest.
    expect(small.flows().length).toBe(58);
    expect(small.drops(DROP_REASON.DROP_FLOW_PRESSURE)).toBeGreaterThan(0);
    await Promise.all(Array.from({ length: 4 }, () => udp(small, 'b', OUTSIDE.ipv4)));
    expect(small.flows().length).toBe(64);
    expect(halves(small.flows())).toEqual([]);
    // Where it has no ended flow, which would give way.
    expect(await who(small, 'b', BEYOND.ipv6)).toMatchObject({ ok: false });
    expect(small.drops(DROP_REASON.DROP_FLOW_TABLE_FULL)).toBeGreaterThan(before);
    const answered = () =>
      Math.max(
        ...small
          .flows()
          .filter(({ key }) => key.source === BEYOND.ipv4)
          .map(({ value }) => Number(value.packets)),
      );
    const whenFull = answered();
    expect(await until(() => answered() > whenFull + 20, 5000)).toBe(true);
    const { ok, sent = 0, received = 0 } = await established.stop();
    expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
  });

  test('takes new ones again when a pod is gone', async () => {
    await small.deletePod('a');
    expect(small.flows().length).toBeLessThan(32);
    expect(await who(small, 'b', OUTSIDE.ipv4)).toMatchObject({ ok: true });
  });
});
