// The column printer: cells, durations, widths, JSON numbers.
import { expect, test } from 'vitest';
import {
  type Column,
  cellsOf,
  columnWidths,
  formatCell,
  formatDuration,
  formatLine,
  jsonValue,
} from '../../src/cli/format.js';

const COLUMNS: readonly Column[] = [
  { header: 'POD', path: 'pod', as: 'pod' },
  { header: 'REMOTE', path: 'remote', as: 'tuple' },
  { header: 'PACKETS', path: 'reply.packets', as: 'number' },
  { header: 'STATE', path: 'state', colours: { closed: 'red' } },
];
const ITEM = {
  pod: { namespace: 'shop', name: 'web-0' },
  remote: { address: '2001:db8::9', port: 443 },
  reply: { packets: 12n },
  state: 'closed',
};

test('cells follow the path of each column', () => {
  expect(cellsOf(COLUMNS)(ITEM)).toEqual(['shop/web-0', '[2001:db8::9]:443', '12', 'closed']);
});

test('a value that is not there is a dash, also below something that is not there', () => {
  expect(cellsOf(COLUMNS)({})).toEqual(['-', '-', '-', '-']);
  expect(formatCell([], 'list')).toBe('-');
});

test('a zero and a false are values', () => {
  expect(formatCell(0, 'number')).toBe('0');
  expect(formatCell(0n, 'number')).toBe('0');
  expect(formatCell(false, 'yes')).toBe('no');
});

test('lines pad text on the right and numbers on the left, and never end in blanks', () => {
  const rows = [cellsOf(COLUMNS)(ITEM), cellsOf(COLUMNS)({ state: 'open' })];
  const layout = { columns: COLUMNS, widths: columnWidths(COLUMNS, rows), colour: false };
  expect(rows.map((row) => formatLine(row, layout))).toEqual([
    'shop/web-0   [2001:db8::9]:443        12   closed',
    '-            -                         -   open',
  ]);
});

test('a cell that is wider than its column pushes the line and is never cut', () => {
  const line = formatLine(['default/long', '-', '1', 'x'], { columns: COLUMNS, widths: [3, 6, 7, 5], colour: false });
  expect(line).toBe('default/long   -              1   x');
});

test('colour is around the cell and follows its text', () => {
  const layout = { columns: COLUMNS, widths: [3, 6, 7, 5], colour: true };
  expect(formatLine(['a', 'b', '1', 'closed'], layout)).toContain('\u001b[31mclosed\u001b[39m');
  expect(formatLine(['a', 'b', '1', 'open'], layout)).not.toContain('\u001b');
});

test.each([
  [-3, '0s'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [200, '3m20s'],
  [3600, '60m'],
  [7200, '2h'],
  [172_799, '47h'],
  [172_800, '2d'],
])('%d seconds print as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('64-bit numbers are JSON numbers up to 2^53 and strings beyond', () => {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  expect(JSON.stringify({ a: limit, b: limit + 1n }, jsonValue)).toBe('{"a":9007199254740991,"b":"9007199254740992"}');
});

test('bytes are hexadecimal in JSON', () => {
  expect(JSON.stringify({ a: Buffer.from([0, 255]) }, jsonValue)).toBe('{"a":"00ff"}');
});
