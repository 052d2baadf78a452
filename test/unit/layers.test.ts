// Imports point down the ranks: who may know whom, and no cycles.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const RANKS: Record<string, number> = {
  model: 0,
  btf: 0,
  kubernetes: 0,
  api: 1,
  bpf: 1,
  net: 1,
  source: 1,
  datapath: 2,
  testbed: 2.5,
};
for (const top of ['agent', 'lab']) RANKS[top] = 3;
/** Measures the agent's parts too. */
RANKS.bench = 3.5;
/** The command line starts what the others of the top rank offer. */
RANKS.cli = 4;

const files = globSync('src/**/*.ts');
const IMPORT = /^(?:import|export)\b(?:[^;'"]*?\bfrom)? '([^']+)'|\bimport\('([^']+)'\)/gm;
const imported = (file: string) => [...readFileSync(file, 'utf8').matchAll(IMPORT)];
const edges = files.flatMap((from) => imported(from).map(([, fixed, lazy]) => ({ from, target: fixed ?? lazy ?? '' })));
const inside = edges
  .filter(({ target }) => target.startsWith('.'))
  .map(({ from, target }) => ({ from, to: normalize(join(dirname(from), target)).replace(/\.js$/, '.ts') }));
const folder = (file: string) => file.split('/')[1] ?? '';

test('every folder has a rank, and every import names a file', () => {
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => RANKS[folder(file)] === undefined)).toEqual([]);
  expect(inside.filter(({ to }) => !files.includes(to))).toEqual([]);
});

test('a file imports from lower ranks or its own folder only', () => {
  const rank = (file: string) => RANKS[folder(file)] ?? Number.NaN;
  expect(inside.filter(({ from, to }) => folder(from) !== folder(to) && !(rank(to) < rank(from)))).toEqual([]);
});

test('source and datapath meet only above both of them', () => {
  const pair = ({ from, to }: { from: string; to: string }) => [folder(from), folder(to)].sort().join();
  expect(inside.filter((edge) => pair(edge) === 'datapath,source')).toEqual([]);
});

test('commander is imported by the command line only, and each addon loaded in one place', () => {
  expect(edges.filter(({ from, target }) => target === 'commander' && folder(from) !== 'cli')).toEqual([]);
  const loads = (addon: string) => files.filter((file) => readFileSync(file, 'utf8').includes(`/${addon}.node\``));
  expect([loads('bpf'), loads('net')]).toEqual([['src/bpf/native.ts'], ['src/net/native.ts']]);
});

test('there are no cycles', () => {
  const next = Map.groupBy(inside, ({ from }) => from);
  const done = new Set<string>();
  const cyclesFrom = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [[...path.slice(path.indexOf(file)), file].join(' -> ')];
    if (done.has(file)) return [];
    const cycles = (next.get(file) ?? []).flatMap(({ to }) => cyclesFrom(to, [...path, file]));
    done.add(file);
    return cycles;
  };
  expect(files.flatMap((file) => cyclesFrom(file, []))).toEqual([]);
});
