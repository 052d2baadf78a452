// The form in which results are kept: what is written is read again, and what is not a report says why.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatReport, parseReport, ReportError, readReport, writeReport } from '../../src/bench/report-file.js';
import { aReport, aResult, aTime } from '../support/bench-report.js';
import { runCli } from '../support/cli.js';

const FULL = aReport({
  results: [
    aResult([0.99, 0.98, 1], { goal: { kind: 'at-least', value: 0.97 }, met: true, size: { of: 'flows', count: 2 } }),
    { section: 'packets', name: 'island / masquerade', what: '1 flow', unit: 'ratio', note: 'masquerade is missing' },
  ],
  times: [aTime(50)],
  missing: [{ name: 'masquerade', reason: 'iptables: not found' }],
  samples: { latency: [{ peer: 'raw', p50: Number.NaN }] },
});
let directory = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'bench-report-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

test('what is written is read again; what could not be measured is null among the samples', () => {
  const file = join(directory, 'new/deep/full.json');
  writeReport(file, FULL);
  expect(readReport(file)).toEqual({ ...FULL, samples: { latency: [{ peer: 'raw', p50: null }] } });
  expect(readFileSync(file, 'utf8')).toBe(formatReport(FULL));
});

test.each([
  ['no JSON', '{', /^F is not JSON: .*make one with `isthmus bench --json FILE`$/],
  ['a list', '[]', /^F is not a report: it is 'no' 'kind' and not 'isthmus.dev\/v1' 'BenchReport'/],
  ['another kind', '{"apiVersion":"isthmus.dev/v1","kind":"FlowList"}', /it is 'isthmus.dev\/v1' 'FlowList' and not/],
  ['a later form', '{"apiVersion":"isthmus.dev/v2","kind":"BenchReport"}', /it is 'isthmus.dev\/v2' 'BenchReport'/],
  ['half of one', '{"apiVersion":"isthmus.dev/v1","kind":"BenchReport"}', /^F is not a whole report: .*benchmark/],
])('%s is refused with what is wrong', (_, text, said) => {
  expect(() => parseReport(text, 'F')).toThrow(ReportError);
  expect(() => parseReport(text, 'F')).toThrow(said);
});

test('a result with a unit that nobody knows, and quartiles that do not hold the median, are named by their place', () => {
  const wrong = { ...FULL.results[0], unit: 'miles' };
  expect(() => parseReport(JSON.stringify({ ...FULL, results: [wrong] }), 'F')).toThrow(/results\[0\]\.unit/);
  const apart = { ...FULL.results[0], spread: { median: 3, low: 1, high: 2, count: 3 } };
  expect(() => parseReport(JSON.stringify({ ...FULL, results: [apart] }), 'F')).toThrow(/median is not between/);
});

test('compare: 5 without a file, 2 for what is no report or of another benchmark, 1 when worse, else 0', async () => {
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const old = file('old.json', formatReport(aReport({ results: [aResult([1, 1, 1])] })));
  const worse = file('worse.json', formatReport(aReport({ results: [aResult([0.9, 0.9, 0.9])] })));
  const other = file('other.json', formatReport(aReport({ benchmark: 'nat' })));
  const broken = file('broken.json', '{');
  const compare = (...files: string[]) => runCli('bench', 'compare', ...files);
  expect(await compare(old, join(directory, 'none.json'))).toMatchObject({
    status: 5,
    stderr: expect.stringContaining('there is no such file'),
  });
  expect((await compare(old, broken)).status).toBe(2);
  expect((await compare(old, other)).stderr).toContain("is of the benchmark 'paths' and");
  expect((await compare(old, old)).stdout).toBe('0 better, 0 worse, 1 within the noise\n');
  const moved = await compare(old, worse);
  expect(moved.status).toBe(1);
  expect(moved.stdout).toMatch(/island +island \/ flat +crr +1\.000 +0\.900 +-0\.100 \(-10\.0 %\) +0\.010 +worse/);
  expect((await compare(worse, old)).status).toBe(0);
  expect(JSON.parse((await compare(old, worse, '-o', 'json')).stdout).differences).toHaveLength(1);
});
