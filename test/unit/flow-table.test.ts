// How full the flow table is, and who is named for it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FlowWatch } from '../../src/agent/flow-watch.js';
import { viewFlowTable } from '../../src/datapath/flow-table.js';
import {
  describePressure,
  type FlowTable,
  isUnderPressure,
  PRESSURE_PERCENT,
  rankTalkers,
} from '../../src/model/flow-table.js';

const NAMES = {
  endpoints: [
    { ifindex: 7, namespace: 'shop', pod: 'web-0' },
    { ifindex: 8, namespace: 'shop', pod: 'web-1' },
  ],
  uplink: { name: 'eth0', ifindex: 2 },
};

const count = (open: number, unanswered = 0, closed = 0) => ({ open, unanswered, closed, refused: 3n });

function aTable(entries: number, fields: Partial<FlowTable> = {}): FlowTable {
  const counts = new Map([
    [2, count(5)],
    [7, count(10, 4, 1)],
    [8, count(400, 350)],
    [9, count(1)],
  ]);
  return { entries, maxEntries: 1000, counts, ...fields };
}

test('the limit is that of the kernel', () => {
  const types = readFileSync(join(import.meta.dirname, '../../bpf/lib/types.h'), 'utf8');
  const tenths = Number(/PRESSURE_TENTHS = (\d+)/.exec(types)?.[1]);
  expect(PRESSURE_PERCENT).toBe(10 * tenths);
  expect([aTable(900), aTable(901)].map(isUnderPressure)).toEqual([false, true]);
});

test('who has the most flows comes first, by name', () => {
  const talkers = rankTalkers(aTable(950), NAMES);
  expect(talkers.map(({ pod, device, flows, sharePercent }) => [pod?.name ?? device, flows, sharePercent])).toEqual([
    ['web-1', 400, 80],
    ['web-0', 11, 2.2],
    ['eth0', 5, 1],
    ['9', 1, 0.2],
  ]);
  expect(describePressure(aTable(950), talkers)).toBe(
    'the flow table is 95 % full (950 of 1000 entries): established flows go on, who has much of it begins no more; ' +
      'most flows: shop/web-1 400 (350 unanswered), shop/web-0 11 (4 unanswered), device eth0 5',
  );
  expect(describePressure(aTable(950), [])).toContain('most flows: nobody counted');
});

test('a count that is behind for a moment is none', () => {
  const entry = { open: 0xffff_ffff, unanswered: 2, closed: 0, walk_open: 0, walk_unanswered: 0, walk_closed: 0 };
  const table = viewFlowTable({
    total: { entries: 0xffff_fffe },
    counts: [[7, { ...entry, refused: 0n }]],
    maxEntries: 8,
  });
  expect(table.entries).toBe(0);
  expect(table.counts.get(7)).toEqual({ open: 0, unanswered: 2, closed: 0, refused: 0n });
});

test('the log names them once a minute, and says when it is over', () => {
  const lines: string[] = [];
  const say = (level: string) => (details: object, message: string) => {
    expect(details).toMatchObject({ maxEntries: 1000 });
    lines.push(`${level} ${message.slice(0, 27)}`);
  };
  let now = 5000;
  const log = { info: say('info'), warn: say('warn') } as never;
  const watch = new FlowWatch({ log, names: () => NAMES, clock: () => now });
  for (const [seconds, entries] of [
    [0, 100],
    [5, 950],
    [10, 960],
    [66, 970],
    [70, 500],
    [75, 400],
    [80, 930],
  ] as const) {
    now = 5000 + seconds * 1000;
    watch.check(aTable(entries));
  }
  expect(lines).toEqual([
    'warn the flow table is 95 % full',
    'warn the flow table is 97 % full',
    'info the flow table has room for',
    'warn the flow table is 93 % full',
  ]);
});
