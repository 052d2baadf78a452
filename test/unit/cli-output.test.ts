// Lists in every format: shapes, empty lists, columns, streams.
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { limited } from '../../src/cli/limit.js';
import type { Format } from '../../src/cli/options.js';
import { type Items, type Noun, type Output, printList } from '../../src/cli/output.js';

const NOUN: Noun = {
  kind: 'ThingList',
  empty: 'No things.',
  columns: [
    { header: 'NAME', path: 'name' },
    { header: 'SIZE', path: 'size', as: 'number' },
    { header: 'NOTE', path: 'note', wide: true },
  ],
};
const ITEMS = [
  { node: 'n1', name: 'one', size: 1n, note: 'a\nb' },
  { node: 'n2', name: 'twelve', size: 2n ** 60n, note: '' },
];

class Memory extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function print(items: Items, options: Partial<Output> & { noun?: Noun } = {}) {
  const stdout = new Memory();
  const stderr = new Memory();
  const base: Output = { stdout, stderr, format: 'table', headers: true, nodes: false, colour: false };
  const count = await printList({ ...base, ...options }, options.noun ?? NOUN, items);
  return { out: stdout.text, err: stderr.text, count };
}

test('a table has the narrow columns', async () => {
  const { out, err, count } = await print(ITEMS);
  expect(out).toBe('NAME                    SIZE\none                        1\ntwelve   1152921504606846976\n');
  expect({ err, count }).toEqual({ err: '', count: 2 });
});

test('wide shows every column and the node', async () => {
  const { out } = await print(ITEMS.slice(1), { format: 'wide' });
  expect(out).toBe('NODE   NAME                    SIZE   NOTE\nn2     twelve   1152921504606846976   -\n');
});

test('several nodes give a table its NODE column', async () => {
  expect((await print(ITEMS, { nodes: true })).out.split('\n')[0]).toBe('NODE   NAME                    SIZE');
});

test('headers can be left out', async () => {
  expect((await print(ITEMS.slice(0, 1), { headers: false })).out).toBe('one       1\n');
});

test('json is one versioned document', async () => {
  expect(JSON.parse((await print(ITEMS, { format: 'json' })).out)).toEqual({
    apiVersion: 'isthmus.dev/v1',
    kind: 'ThingList',
    items: [
      { node: 'n1', name: 'one', size: 1, note: 'a\nb' },
      { node: 'n2', name: 'twelve', size: '1152921504606846976', note: '' },
    ],
  });
});

test('yaml is the same document', async () => {
  const { out } = await print(ITEMS, { format: 'yaml' });
  expect(parse(out)).toEqual(JSON.parse((await print(ITEMS, { format: 'json' })).out));
});

test('jsonl is one item a line', async () => {
  const lines = (await print(ITEMS, { format: 'jsonl' })).out.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).name)).toEqual(['one', 'twelve']);
});

test.each<[Format, string]>([
  ['table', ''],
  ['wide', ''],
  ['jsonl', ''],
  ['json', '{\n  "apiVersion": "isthmus.dev/v1",\n  "kind": "ThingList",\n  "items": []\n}\n'],
  ['yaml', 'apiVersion: isthmus.dev/v1\nkind: ThingList\nitems: []\n'],
])('an empty list as %s says so on stderr', async (format, out) => {
  expect(await print([], { format })).toEqual({ out, err: 'No things.\n', count: 0 });
});

test('a long table streams: rows after the first thousand keep the widths and are all there', async () => {
  const items = Array.from({ length: 2500 }, (_, index) => ({
    name: index < 1500 ? 'a' : 'longer than before',
    size: index,
  }));
  const lines = (await print(items)).out.trimEnd().split('\n');
  expect(lines).toHaveLength(2501);
  expect(lines[1]).toBe('a         0');
  expect(lines[1000]).toBe('a       999');
  expect(lines[1001]).toBe('a      1000');
  expect(lines[2500]).toBe('longer than before   2499');
});

test('a table of exactly as many rows as are measured is printed once', async () => {
  const items = Array.from({ length: 1000 }, (_, size) => ({ name: 'a', size }));
  expect((await print(items)).out.trimEnd().split('\n')).toHaveLength(1001);
});

test('a live list prints each item at once', async () => {
  const stdout = new Memory();
  const seen: string[] = [];
  async function* items() {
    yield { name: 'first', size: 1 };
    seen.push(stdout.text);
    yield { name: 'second', size: 2 };
  }
  const live: Noun = { ...NOUN, live: true };
  await print(items(), { noun: live, stdout });
  expect(seen).toEqual(['NAME   SIZE\nfirst      1\n']);
  expect(stdout.text.split('\n')).toHaveLength(4);
});

test('a limit ends the list and says that there is more', async () => {
  const stderr = new Memory();
  expect([...limited([1, 2, 3], 2, { stderr })]).toEqual([1, 2]);
  expect(stderr.text).toBe('note: there are more than 2: --limit stopped here\n');
});

test('a limit that is not reached is silent', () => {
  const stderr = new Memory();
  expect([...limited([1, 2], 2, { stderr }), ...limited([3], undefined, { stderr })]).toEqual([1, 2, 3]);
  expect(stderr.text).toBe('');
});
