// RFCs beside those of behaviour: who it was (7422, 8158), ports that cannot be guessed (6056), prefixes (6296), measuring (9693).
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECTIONS } from '../../../src/bench/goals.js';
import { DEFAULT_BLOCK_ORDER } from '../../../src/model/network.js';
import { pause } from '../../../src/testbed/command.js';
import { runCli } from '../../support/cli.js';
import { range, sendMany, udpOf } from '../../support/rfc-load.js';
import { FAMILIES, RfcWorld } from '../../support/rfc-world.js';

const BLOCK = 256;
const PODS = ['a', 'b', 'c', 'd', 'e', 'f'];

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ spec: { nat: { blockOrder: 'Random' } }, pods: PODS });
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

interface Owner {
  readonly owner: { readonly namespace: string; readonly name: string };
}

test('7422-1: a copy of the journal tells the owner of every live translation, without agent and maps', async () => {
  for (const pod of PODS)
    for (const { family } of FAMILIES) await (await udpOf(world, pod, family)).who(world.server('s1', family));
  const copy = join(world.node.directory, 'copy');
  cpSync(join(world.node.stateDir, 'journal'), copy, { recursive: true });
  const list = await runCli('nat', 'list', '--state-dir', world.node.stateDir, '-o', 'json');
  const { items } = JSON.parse(list.stdout) as {
    items: { pod: Owner['owner']; outside: { address: string; port: number } }[];
  };
  expect(items.length).toBeGreaterThanOrEqual(2 * PODS.length);
  const now = new Date().toISOString();
  for (const { pod, outside } of items) {
    const place = outside.address.includes(':')
      ? `[${outside.address}]:${outside.port}`
      : `${outside.address}:${outside.port}`;
    const who = await runCli('nat', 'who', place, '--at', now, '--journal-dir', copy, '-o', 'json');
    const [answer] = (JSON.parse(who.stdout) as { items: Owner[] }).items;
    expect(answer?.owner, place).toMatchObject(pod);
  }
});

/** The block of each pod, in the order in which they came. */
async function blocks(): Promise<number[]> {
  const all: number[] = [];
  for (const pod of PODS)
    all.push(Math.floor((await (await udpOf(world, pod, 4)).who(world.server('s1', 4))).port / BLOCK));
  return all;
}

test('7422-1: no formula leads from the address of a pod to its ports', async () => {
  const hosts = PODS.map((pod) => Number(world.pod(pod, 4).split('.')[3]));
  const offsets = (await blocks()).map((block, index) => block - (hosts[index] ?? 0));
  expect(new Set(offsets).size).toBeGreaterThan(1);
});

test("6888-15: one pod's block does not tell the next one's, by default", async () => {
  const all = await blocks();
  const steps = all.slice(1).map((block, index) => block - (all[index] ?? 0));
  expect(new Set(all).size).toBe(PODS.length);
  expect(steps.filter((step) => step === 1).length).toBeLessThan(3);
  expect(DEFAULT_BLOCK_ORDER).toBe('Random');
});

describe.each(FAMILIES)('$name', ({ family }) => {
  test('6056-4: of ascending ports of a pod, the next outside port cannot be told from the last', async () => {
    const places = await sendMany(world, { pod: 'a', family, ports: range(20_000, 128) });
    expectScattered(places.map(({ port }) => port));
  });

  test('7857-9: the same holds for the connections of another pod', async () => {
    const frames = await world.frames('b');
    const destination = world.crafted(family);
    const outer = world.fromPod('b').ip({ source: world.pod('b', family), destination });
    world.wire.clear();
    frames.send(...range(30_000, 64).map((source) => outer.tcp({ source, destination: 443 })));
    await pause(300);
    const heard = await world.wire.during(({ network }) => network.destination === destination, 0);
    expectScattered(heard.map(({ transport }) => transport?.source ?? 0));
  });

  test('6888-15: and a block is used all over, not from its begin', async () => {
    const places = await sendMany(world, { pod: 'c', family, ports: range(40_000, 32) });
    const offsets = places.map(({ port }) => port % BLOCK);
    expect(Math.max(...offsets) - Math.min(...offsets)).toBeGreaterThan(BLOCK / 2);
    expectScattered(places.map(({ port }) => port));
  });
});

/** Neighbours in time are no neighbours in number, more often than by chance, and no one step is the rule. */
function expectScattered(ports: readonly number[]): void {
  expect(ports.length).toBeGreaterThanOrEqual(32);
  const steps = ports.slice(1).map((port, index) => port - (ports[index] ?? 0));
  const counts = Map.groupBy(steps, (step) => step);
  const commonest = Math.max(...[...counts.values()].map(({ length }) => length));
  expect(commonest).toBeLessThan(steps.length / 4);
}

test('6296-1: a prefix that outside addresses would be made of is refused', async () => {
  world.node.writeNetwork({ ipv6: { globalPrefix: '2001:db8:6296::/48' }, nat: { blockOrder: 'Random' } });
  const { state } = await world.node.waitFor(({ state: { problems } }) => problems.length > 0);
  expect(state.problems.map(({ reason }) => reason).join()).toMatch(/globalPrefix/);
  world.node.writeNetwork({ nat: { blockOrder: 'Random' } });
  await world.node.waitFor(({ state: { problems } }) => problems.length === 0);
});

test('8158-1: grants and releases are exported as NAT events, with the names of their elements', async () => {
  await world.addPod('gone');
  await world.node.deletePod('gone');
  const { stdout } = await runCli('journal', 'export', '--format', 'ipfix-json', '--state-dir', world.node.stateDir);
  const records = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const ours = records.filter(({ virtualStationName }) => virtualStationName === 'test/gone');
  const address = world.pod('gone', 4);
  const ipv4 = ours.filter(({ sourceIPv4Address }) => sourceIPv4Address === address);
  expect(ipv4.map(({ natEvent }) => natEvent)).toEqual([16, 17]);
  for (const record of ipv4) {
    expect(record).toMatchObject({
      observationTimeMilliseconds: expect.any(Number),
      postNATSourceIPv4Address: world.nodeAddress(4),
      portRangeStart: expect.any(Number),
      portRangeEnd: expect.any(Number),
      portRangeStepSize: 1,
      portRangeNumPorts: BLOCK,
    });
  }
});

test("9693-1: the benchmark compares translated paths with the kernel's, and measures memory", () => {
  expect(SECTIONS).toEqual(expect.arrayContaining(['island', 'masquerade', 'packets', 'memory']));
});
