// The page of a report and that of the documentation: everything is in them, nothing is fetched, and axes are honest.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { barsSpec } from '../../src/bench/page/bars.js';
import { listCharts } from '../../src/bench/page/charts.js';
import { openDrawing } from '../../src/bench/page/draw.js';
import { writeHtml } from '../../src/bench/page/html.js';
import { labelResults } from '../../src/bench/page/labels.js';
import { formatPage } from '../../src/bench/page/markdown.js';
import { reasonOf } from '../../src/bench/page/reasons.js';
import { standalone } from '../../src/bench/page/standalone.js';
import { aReport, aResult, aTime } from '../support/bench-report.js';

const MISSED = aResult([0.94, 0.95, 0.955], {
  section: 'same-node',
  name: 'same-node / raw',
  what: 'rr',
  path: 'same-node',
  peer: 'raw',
  goal: { kind: 'at-least', value: 0.96 },
  met: false,
});
const PATHS = aReport({
  results: [
    aResult([1.01, 1, 0.99], { section: 'self-check', name: 'one pair / the same again', what: 'rr', met: true }),
    MISSED,
    {
      ...MISSED,
      name: 'bare-same / raw',
      path: 'bare-same',
      spread: { median: 0.955, low: 0.95, high: 0.96, count: 3 },
    },
    { ...MISSED, name: 'same-node / bare-same', peer: 'bare-same' },
    aResult([0.98, 0.99, 1], { goal: { kind: 'at-least', value: 0.97 }, met: true }),
    { section: 'masquerade', name: 'island / masquerade', what: 'rr', unit: 'ratio', note: 'masquerade is <missing>' },
  ],
  times: [aTime(16, { path: 'raw', test: 'rr' }), aTime(17, { path: 'same-node', test: 'rr' }), aTime(50)],
  missing: [{ name: 'masquerade', reason: 'iptables-legacy: not found & more' }],
});
const SERVICES = aReport({
  benchmark: 'service',
  times: [10, 1000, 5000].flatMap((count) => [
    aTime(50, { path: 'packet', size: { of: 'Services', count } }),
    aTime(68 + count / 1000, { path: 'iptables-legacy', size: { of: 'Services', count } }),
  ]),
});

describe('the page', () => {
  let directory = '';
  let html = '';
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bench-page-'));
    const warned = vi.spyOn(console, 'warn');
    expect(await writeHtml(join(directory, 'page.html'), [PATHS, SERVICES])).toEqual({});
    expect(warned).not.toHaveBeenCalled();
    html = readFileSync(join(directory, 'page.html'), 'utf8');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test('needs nothing but itself', () => {
    const found = /https?:|<script|<link|<img|url\(|@import/.exec(html.replaceAll(/xmlns(:xlink)?="http:[^"]*"/g, ''));
    expect(found).toBeNull();
    expect(html).toContain('prefers-color-scheme:dark');
    expect(html).not.toContain('#a1b2');
  });

  test('has every chart, each with its name for those who do not see it', () => {
    const titles = [...listCharts(PATHS), ...listCharts(SERVICES)].map(({ title }) => title);
    expect(titles.length).toBeGreaterThanOrEqual(5);
    expect([...html.matchAll(/role="img" aria-label="([^"]*)"/g)].map(([, label]) => label)).toEqual(titles);
  });

  test('says what was missed, what is missing and why, as text', () => {
    expect(html).toContain('Goals that were missed');
    expect(html).toContain('masquerade: iptables-legacy: not found &amp; more');
    expect(html).toContain('masquerade is &lt;missing&gt;');
    expect(html.match(/<tr class="missed">/g)).toHaveLength(6);
    for (const { name } of PATHS.results) expect(html).toContain(`<td>${name}</td>`);
  });
});

test('bars begin at zero, and reach the goal and the far quartile', () => {
  const ratios = [aResult([1.2, 1.3, 1.6], { goal: { kind: 'at-least', value: 2 }, met: false }), aResult([0.5])];
  const domains = JSON.stringify(barsSpec(ratios, 'ratio')).match(/"domain":\[[^\]"]*\]/g);
  expect(new Set(domains)).toEqual(new Set(['"domain":[0,2.08]']));
  const negative = JSON.stringify(barsSpec([aResult([-10, 5], { unit: 'ns' })], 'ns'));
  expect(negative).toContain('"domain":[-6.5,');
});

test('what labels have in common is said once', () => {
  const named = (name: string, what: string) => ({ name, what });
  expect(labelResults([named('speed, a / b', 'crr, 10 Services'), named('speed, a / c', 'crr, 20 Services')])).toEqual({
    labels: ['a / b, 10 Services', 'a / c, 20 Services'],
    common: 'speed, crr',
  });
  expect(labelResults([named('  alone', 'rr')])).toEqual({ labels: ['alone, rr'], common: '' });
  expect(labelResults([named('same', 'rr'), named('same', 'crr')]).labels).toEqual(['same, rr', 'same, crr']);
});

test('cost by size tells what a thousand more cost', () => {
  const [chart] = listCharts(SERVICES);
  expect(chart?.caption).toContain('packet 0.00 µs (0.00 to 0.00), iptables-legacy 1.00 µs (1.00 to 1.00).');
});

test('a drawing of its own has its colours and a ground', async () => {
  const draw = await openDrawing();
  const [chart] = listCharts(PATHS);
  if (!draw || !chart) throw new Error('nothing to draw');
  const svg = standalone((await draw(chart.spec)).svg, 'A < B');
  expect(svg).toMatch(/^<svg [^>]*><title>A &lt; B<\/title><style>:root\{/);
  expect(svg).toContain('fill="var(--missed)"');
  const [once, again] = [await draw(chart.spec), await draw(chart.spec)];
  expect(once.svg === again.svg).toBe(true);
});

test('the page of the documentation has goals beside figures, and the reason where the run measured one', () => {
  const chart = { title: 'T', caption: 'C', path: 'benchmarks/paths-t.svg' };
  const text = formatPage([{ report: PATHS, source: 'docs/benchmarks/paths.json', charts: [chart] }]);
  const reason = 'programs that only hand packets over reach 0.955 on this machine, and ours are at 0.950 of them';
  expect(reasonOf(MISSED, PATHS)).toBe(reason);
  expect(text).toContain(`| same-node | same-node / raw | rr | 0.950 | 0.945 - 0.952 | >= 0.96 | ${reason} |`);
  expect(text).toContain('| no measurement says why yet |');
  expect(text).toContain('![T](benchmarks/paths-t.svg)');
  expect(text).toContain('* missing: masquerade: iptables-legacy: not found & more');
  expect(text).toContain('from [docs/benchmarks/paths.json](benchmarks/paths.json)');
});

test('a missed goal of a Service is beside what a connection takes more, and beside the noise of its run', () => {
  const what = 'crr, 10 Services';
  const report = aReport({
    benchmark: 'service',
    results: [
      aResult([3.5], { section: 'latency', name: 'a connection above the pod itself, packet', what, unit: 'us' }),
      aResult([1.02], { section: 'self-check', what }),
      aResult([0.95], { section: 'self-check', what: 'crr, 1000 Services' }),
      aResult([0.8], { section: 'self-check', what: 'rr, 10 Services' }),
    ],
    times: [aTime(27.5, { path: 'direct', test: 'crr', size: { of: 'Services', count: 10 } })],
  });
  const missed = (name: string, more = {}) =>
    aResult([0.9], { section: 'latency', name, what, path: 'packet', size: { of: 'Services', count: 10 }, ...more });
  expect(reasonOf(missed('packet / direct'), report)).toBe(
    'a connection takes 3.50 us more than the 27.50 us of one to the pod itself on this machine',
  );
  expect(reasonOf(missed('socket / direct', { path: 'socket' }), report)).toBeUndefined();
  expect(reasonOf(missed('packet / the same with 10 Services'), report)).toBe(
    'the pod itself, measured twice, differs by up to 5.0 % in this run',
  );
});

test('a missed goal of large packets is beside what a bare pair reaches with them', () => {
  const big = aResult([1.19], { section: 'stream', name: 'raw-big / raw', path: 'raw-big', peer: 'raw' });
  const missed = aResult([1.13], { section: 'stream', name: 'same-node / raw', path: 'same-node', peer: 'raw' });
  const reason = 'the bare pair with packets of 192 KiB reaches 1.190 on this machine';
  expect(reasonOf(missed, aReport({ results: [big, missed] }))).toBe(reason);
  expect(reasonOf(missed, aReport({ results: [missed] }))).toBeUndefined();
});
