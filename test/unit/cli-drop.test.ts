// Drops: a sentence for every reason, sums over CPUs, and what grows between two looks.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DROP_MEANINGS, dropMeaning } from '../../src/cli/drop-reasons.js';
import { byPackets, type DropItem, growth, viewDrop } from '../../src/cli/view/drop.js';

const NAMES = {
  reasons: [{ name: 'DROP_NO_FLOW', value: 10 }],
  directions: [{ name: 'DIRECTION_FROM_NETDEV', value: 1 }],
};

test('every drop reason of the datapath has a sentence, and no other has', () => {
  const types = readFileSync(join(import.meta.dirname, '../../bpf/lib/types.h'), 'utf8');
  const body = types.slice(
    types.indexOf('enum drop_reason {'),
    types.indexOf('};', types.indexOf('enum drop_reason {')),
  );
  const reasons = [...body.matchAll(/^\t(DROP_\w+) = /gm)].map((match) => match[1]);
  expect(reasons.length).toBeGreaterThan(20);
  expect(Object.keys(DROP_MEANINGS)).toEqual(reasons);
});

test('a counter is the sum over CPUs with the names of the enums', () => {
  const value = [
    { packets: 2n, bytes: 100n },
    { packets: 3n, bytes: 50n },
  ];
  expect(viewDrop('n1', { key: { reason: 10, direction: 1 }, value }, NAMES)).toEqual({
    node: 'n1',
    reason: 'DROP_NO_FLOW',
    direction: 'from_netdev',
    packets: 5n,
    bytes: 150n,
    meaning: dropMeaning('DROP_NO_FLOW'),
  });
});

test('a reason of a newer datapath is shown by its number', () => {
  const item = viewDrop('n1', { key: { reason: 99, direction: 7 }, value: [{ packets: 1n, bytes: 1n }] }, NAMES);
  expect(item).toMatchObject({ reason: '99', direction: '7', meaning: expect.stringContaining('does not know') });
});

test('growth is what came since the last look', () => {
  const item = (packets: bigint): DropItem => ({
    ...{ node: 'n1', reason: 'DROP_NO_FLOW', direction: 'from_netdev', bytes: 0n, meaning: '' },
    packets,
  });
  const seen = new Map<string, bigint>();
  const news = [5n, 5n, 8n].map((packets) => growth([item(packets)], seen, new Date(0)).map((each) => each.newPackets));
  expect(news).toEqual([[5n], [], [3n]]);
});

test('most packets come first, equal ones by name', () => {
  const items = [
    ['DROP_B', 1n],
    ['DROP_A', 1n],
    ['DROP_C', 9n],
  ].map(([reason, packets]) => ({ reason, packets }) as DropItem);
  expect(items.sort(byPackets).map((item) => item.reason)).toEqual(['DROP_C', 'DROP_A', 'DROP_B']);
});
