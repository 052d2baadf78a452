// An agent that comes to a node that has been at work: its connections go on, also those with ports that are translated now.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DROP_REASON } from '../../src/datapath/types.gen.js';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE, OUTSIDE, PORT } from '../support/node-world.js';

/** Of the range of translated connections. */
const NAT_PORT = 41_000;
const LISTENED = 42_000;
const FAMILIES = ['ipv4', 'ipv6'] as const;

let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const ask = (family: 'ipv4' | 'ipv6', port: number) =>
  node.probe('outside', 'tcp', NODE[family], String(port), 'who', '--timeout', '1000');

test('connections from before the agent live on, and nobody comes in by such a port', async () => {
  const listener = node.startProbe('node', 'serve', '--port', String(LISTENED));
  const listens = async (): Promise<boolean> => (await ask('ipv4', LISTENED)).ok;
  expect(await until(listens, 5000), 'without an agent, who listens is reached').toBe(true);
  const older = FAMILIES.map((family) =>
    node.startProbe(
      ...(['node', 'tcp', OUTSIDE[family], String(PORT), 'hold'] as const),
      ...['--source-port', String(NAT_PORT), '--rate', '50', '--seconds', '60'],
    ),
  );
  await until(
    async () => (await node.exec('node', ['ss', '-Htn', 'sport', '=', `:${NAT_PORT}`])).stdout.includes(NODE.ipv6),
    5000,
  );
  await node.startAgent();
  const before = node.drops(DROP_REASON.DROP_NO_FLOW);
  for (const family of FAMILIES) expect((await ask(family, LISTENED)).ok, 'a new connection').toBe(false);
  expect(node.drops(DROP_REASON.DROP_NO_FLOW)).toBeGreaterThan(before);
  for (const { stop } of older) {
    const report = await stop();
    expect(report).toMatchObject({ ok: true, errors: 0 });
    expect(report.received).toBeGreaterThan(50);
  }
  await listener.stop();
});
