// How a pod's programs are attached: by filters at once, by links when nobody waits, and never both for long nor neither.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  await node.startAgent();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

interface Attached {
  readonly filter: boolean;
  readonly link: boolean;
}

/** As the kernel has it. */
async function attached(device: string): Promise<Attached> {
  const { stdout } = await node.exec('node', ['tc', 'filter', 'show', 'dev', device, 'ingress']);
  return { filter: stdout.includes('from_container'), link: existsSync(linkOf(device)) };
}

function linkOf(device: string): string {
  return join(node.bpffs, 'links', `from_container-${device}`);
}

/** As the agent says. */
async function kindsOf(device: string): Promise<string[]> {
  const attachments = (await node.status())?.state.attachments ?? [];
  return attachments.flatMap(({ target, kind }) => (target === device ? kind : []));
}

const isSettled = async (device: string): Promise<boolean> => (await kindsOf(device)).join() === 'tcx';
const who = (pod: string) => node.probe(pod, 'tcp', OUTSIDE.ipv4, String(PORT), 'who');

test('C4: a pod has a filter at once, and a link in its place when nobody asks any more; no packet is lost', async () => {
  await node.addPod('a');
  const [device = ''] = await node.podDevices();
  const flow = node.startProbe('a', 'tcp', OUTSIDE.ipv6, String(PORT), 'hold', '--seconds', '60', '--rate', '300');
  expect(sawOf(await who('a')).address).toBe(NODE.ipv4);
  expect(await until(() => isSettled(device), 5000), node.tail()).toBe(true);
  expect(await attached(device)).toEqual({ filter: false, link: true });
  expect(sawOf(await who('a')).address).toBe(NODE.ipv4);
  expect(await node.cni('CHECK', 'a')).toMatchObject({ status: 0, stdout: '' });
  const { ok, sent = 0, received = 0 } = await flow.stop();
  expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
  await node.deletePod('a');
  expect(existsSync(linkOf(device))).toBe(false);
});

test('C10: where bandwidth is not declared with us, it has a link at once: a plugin behind ours finds its place free', async () => {
  await node.addNamespace('a');
  expect(await node.cni('ADD', 'a', { config: { capabilities: {} } })).toMatchObject({ status: 0 });
  const [device = ''] = await node.podDevices();
  expect(await attached(device)).toEqual({ filter: false, link: true });
  expect((await node.exec('node', ['tc', 'qdisc', 'show', 'dev', device])).stdout).not.toContain('clsact');
  await node.deletePod('a');
});

test('C5: a pod that goes before has left nothing', async () => {
  for (let round = 0; round < 5; round++) {
    await node.addPod('a');
    const [device = ''] = await node.podDevices();
    await node.deletePod('a');
    expect([await node.podDevices(), existsSync(linkOf(device))]).toEqual([[], false]);
  }
  await node.addPod('b');
  const [device = ''] = await node.podDevices();
  expect(await until(() => isSettled(device), 5000), node.tail()).toBe(true);
  await node.deletePod('b');
  expect(node.log().filter(({ level }) => Number(level) >= 40)).toEqual([]);
});

test('the agent that follows one that was killed before puts links there', async () => {
  await node.addPod('a');
  await node.endAgent('SIGKILL');
  const [device = ''] = await node.podDevices();
  expect(await attached(device)).toMatchObject({ filter: true });
  expect(sawOf(await who('a')).address).toBe(NODE.ipv4);
  await node.startAgent();
  expect(await attached(device)).toEqual({ filter: false, link: true });
  expect(await kindsOf(device)).toEqual(['tcx']);
  expect(sawOf(await who('a')).address).toBe(NODE.ipv4);
  await node.deletePod('a');
});

test.each([
  ['tcx', { filter: false, link: true }],
  ['clsact', { filter: true, link: false }],
] as const)('where %s is demanded, it is so from the beginning and stays so', async (attach, expected) => {
  await node.endAgent('SIGTERM');
  await node.startAgent({ attach });
  await node.addPod('a');
  const [device = ''] = await node.podDevices();
  expect(await attached(device)).toEqual(expected);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(await attached(device)).toEqual(expected);
  expect(await kindsOf(device)).toEqual([attach]);
  await node.deletePod('a');
});
