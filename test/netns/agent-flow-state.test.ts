// What a stranger can do to a connection, and one pod to the flow table: real sockets, a real agent, and forged segments.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DROP_REASON, FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import { PROBE } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { runCli } from '../support/cli.js';
import { Frames } from '../support/frames.js';
import { NODE, OUTSIDE, PORT } from '../support/node-world.js';
import { eth } from '../support/packet.js';
import type { FlowEntry } from '../support/pinned.js';

const BLOCK = 8;
/** Entries of the small table: 128 flows, of which 115 are too many, and 32 a pod's part then. */
const ENTRIES = 256;
const UNANSWERED = 4;
/** Packets to here vanish without an answer. */
const SILENT = '203.0.113.5';
const FAMILIES = ['ipv4', 'ipv6'] as const;
type Family = (typeof FAMILIES)[number];

let node: AgentNode;
let small: AgentNode;
let wire: Frames;
let macs: { source: string; destination: string };

beforeAll(async () => {
  [node, small] = await Promise.all([AgentNode.open(), AgentNode.open()]);
  await small.ip('outside', 'route add blackhole 203.0.113.0/24');
  node.writeManifests({ nat: { ports: '60000-61023', blockSize: BLOCK } });
  small.writeManifests({ nat: { unansweredPerPod: UNANSWERED } });
  await Promise.all([node.startAgent(), small.startAgent({ 'flow-entries': `${ENTRIES}` })]);
  await node.addPod('a');
  for (const pod of ['a', 'b']) await small.addPod(pod);
  macs = { source: await macOf('outside'), destination: await macOf('node') };
  wire = await Frames.open(node.netns('outside'));
}, 60_000);

afterAll(async () => {
  wire?.[Symbol.dispose]();
  for (const one of [node, small]) await one?.[Symbol.asyncDispose]();
});

async function macOf(namespace: string): Promise<string> {
  const [link] = JSON.parse(await node.ip(namespace, '-j link show dev eth0')) as { address: string }[];
  return link?.address ?? '';
}

const hold = (family: Family, ...more: string[]) =>
  node.startProbe('a', 'tcp', OUTSIDE[family], String(PORT), 'hold', '--seconds', '60', '--rate', '20', ...more);

/** Reply entries of connections to the server that nobody has closed. */
function replies(family: Family) {
  const closed = FLOW_FLAGS.FLOW_FIN_ORIGINAL | FLOW_FLAGS.FLOW_FIN_REPLY;
  return node
    .flows()
    .filter(({ key, value }) => key.source === OUTSIDE[family] && key.protocol === 6 && !(value.flags & closed));
}

async function portOfOnly(family: Family): Promise<number> {
  await expect.poll(() => replies(family).filter(({ value }) => value.packets > 3n).length).toBe(1);
  return replies(family)[0]?.key.destination_port ?? 0;
}

/** A segment in the server's name, by somebody who knows the addresses and ports. */
function forge(family: Family, port: number, flags: string): void {
  const numbers = { seq: Math.floor(Math.random() * 2 ** 32), ack: 1 };
  const outer = eth(macs).ip({ source: OUTSIDE[family], destination: NODE[family] });
  wire.send(outer.tcp({ source: PORT, destination: port, flags, ...numbers }));
}

const flagsOf = (family: Family, port: number): number =>
  node.flows().find(({ key }) => key.source === OUTSIDE[family] && key.destination_port === port)?.value.flags ?? 0;

describe.each(FAMILIES)('a connection over %s', (family) => {
  test.each(['R', 'RA', 'FA'])('goes on after forged segments with %s', async (flags) => {
    const held = hold(family);
    const port = await portOfOnly(family);
    for (let count = 0; count < 40; count++) {
      forge(family, port, flags);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await expect.poll(() => flagsOf(family, port) & FLOW_FLAGS.FLOW_RESET).toBe(0);
    const { ok, sent = 0, received = 0 } = await held.stop();
    expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
    expect(sent).toBeGreaterThan(15);
  });

  test('keeps its port after a forged reset, while it is silent and all others are in use', async () => {
    // Of what has ended before, ports are taken before any that is in doubt.
    const held = hold(family, '--rate', '1');
    await expect.poll(() => replies(family).length).toBe(1);
    const port = replies(family)[0]?.key.destination_port ?? 0;
    const others = Array.from({ length: BLOCK - 1 }, () => hold(family));
    await expect.poll(() => replies(family).length).toBe(BLOCK);
    const before = node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED);
    forge(family, port, 'R');
    await expect.poll(() => flagsOf(family, port) & FLOW_FLAGS.FLOW_RESET, { interval: 5 }).not.toBe(0);
    const refused = await node.probe('a', 'tcp', OUTSIDE[family], String(PORT), 'who', '--timeout', '3000');
    expect(refused.ok).toBe(false);
    expect(node.drops(DROP_REASON.DROP_PORTS_EXHAUSTED)).toBeGreaterThan(before);
    for (const { ok, sent, received } of await Promise.all([held, ...others].map((one) => one.stop()))) {
      expect({ ok, received }).toEqual({ ok: true, received: sent });
    }
    expect(flagsOf(family, port) & FLOW_FLAGS.FLOW_RESET_VALID).toBe(0);
  });

  test('that the server resets leaves its port to the next one at once', async () => {
    const { ok } = await node.probe('a', 'tcp', OUTSIDE[family], '9', 'who', '--timeout', '1000');
    expect(ok).toBe(false);
    const isRefused = ({ key, value }: FlowEntry) =>
      key.source === OUTSIDE[family] && key.source_port === 9 && value.flags & FLOW_FLAGS.FLOW_RESET_VALID;
    expect(node.flows().filter(isRefused)).toHaveLength(1);
    const tries = Array.from({ length: 2 * BLOCK }, () =>
      node.probe('a', 'tcp', OUTSIDE[family], '9', 'who', '--timeout', '1000'),
    );
    for (const report of await Promise.all(tries)) expect(report.error).toMatch(/ECONNREFUSED/);
  });
});

describe('a flow table that one pod fills with flows that nobody answers', () => {
  const who = (pod: string) => small.probe(pod, 'tcp', OUTSIDE.ipv4, String(PORT), 'who', '--timeout', '2000');

  test('is closed to that pod, and open to others', async () => {
    const long = small.startProbe('a', 'tcp', OUTSIDE.ipv4, String(PORT), 'hold', '--seconds', '60', '--rate', '20');
    await expect.poll(() => small.flows().length).toBe(2);
    const once = `"$0" udp ${SILENT} 7 who --timeout 1`;
    await small.exec('a', ['sh', '-c', `for i in $(seq 130); do ${once}; done`, PROBE], 60_000);
    expect(small.drops(DROP_REASON.DROP_FLOW_PRESSURE)).toBeGreaterThan(0);
    const filled = small.flows().length;
    expect(filled).toBeGreaterThan(ENTRIES * 0.9);
    expect(filled).toBeLessThan(ENTRIES);
    expect(await who('a')).toMatchObject({ ok: false, error: expect.stringMatching(/EHOSTUNREACH|EACCES/) });
    expect(await who('b')).toMatchObject({ ok: true });
    const { ok, sent, received } = await long.stop();
    expect({ ok, received }).toEqual({ ok: true, received: sent });
  });

  test('is in the log and in the command line, with the name of the pod', async () => {
    const warning = () => small.log().find(({ msg }) => /^the flow table is 9\d/.test(`${msg}`));
    await expect.poll(warning, { timeout: 12_000 }).toMatchObject({
      level: 40,
      maxEntries: ENTRIES,
      msg: expect.stringContaining('most flows: test/a '),
    });
    const stats = await runCli('nat', 'stats', '--state-dir', small.stateDir, '-o', 'json');
    const [item] = JSON.parse(stats.stdout).items;
    expect(item.flowTable).toMatchObject({ maxEntries: ENTRIES });
    expect(item.talkers[0]).toMatchObject({ pod: { namespace: 'test', name: 'a' } });
    expect(item.talkers[0].unanswered).toBeGreaterThan(100);
    expect(item.talkers[0].refused).toBeGreaterThan(0);
    const status = await runCli('status', '--state-dir', small.stateDir);
    expect(status.stderr).toMatch(/the flow table is 9\d(\.\d)? % full .*most flows: test\/a/);
  });
});
