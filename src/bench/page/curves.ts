// Costs by size with a line that fits them, and percentiles of latency.
import { fitLine } from '../fit.js';
import type { PathTime } from '../report.js';
import type { Spread } from '../statistics.js';
import { colourScale, mark } from './theme.js';

/** A path at a size. */
export interface SizedPoint {
  readonly path: string;
  readonly size: number;
  readonly spread: Spread;
}

interface SizesOptions {
  /** Of the axes. */
  readonly sizes: string;
  readonly values: string;
  readonly log: boolean;
  /** Draws the fitted lines. */
  readonly fit: boolean;
}

const WIDTH = 560;
const HEIGHT = 300;
/** Points of a fitted line; on a logarithmic axis it is bent. */
const STEPS = 60;

/** By size, from zero unless it is logarithmic; a line that fits a path is dashed. */
export function sizesSpec(points: readonly SizedPoint[], { sizes, values, log, fit }: SizesOptions): object {
  const paths = [...new Set(points.map(({ path }) => path))];
  const all = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
  const rows = points.map(({ path, size, spread: { median, low, high } }) => ({ path, size, median, low, high }));
  const axis = { values: all, grid: false, labelOverlap: true, format: ',' };
  const x = { field: 'size', type: 'quantitative', scale: { type: 'log', nice: false }, title: sizes, axis };
  const scale = log ? { type: 'log' } : { zero: true };
  const y = (field: string): object => ({ field, type: 'quantitative', scale, title: values });
  const color = { field: 'path', type: 'nominal', scale: colourScale(paths), title: null };
  return {
    width: WIDTH,
    height: HEIGHT,
    data: { values: rows },
    encoding: { x, color },
    layer: [
      { data: { values: fit ? fitted(points) : [] }, ...dashes(x, y('value'), color) },
      { mark: { type: 'line', strokeWidth: 2 }, encoding: { y: y('median') } },
      { mark: { type: 'rule', strokeWidth: 1.5 }, encoding: { y: y('low'), y2: { field: 'high' } } },
      { mark: { type: 'point', filled: true, size: 55, opacity: 1 }, encoding: { y: y('median') } },
    ],
  };
}

function dashes(x: object, y: object, color: object): object {
  return { mark: { type: 'line', strokeWidth: 1, strokeDash: [3, 3] }, encoding: { x, y, color } };
}

/** Within the sizes that were measured. */
function fitted(points: readonly SizedPoint[]): object[] {
  return [...Map.groupBy(points, ({ path }) => path)].flatMap(([path, some]) => {
    const fit = fitLine(some.map(({ size, spread }) => ({ size, value: spread.median })));
    if (fit === undefined) return [];
    const first = Math.min(...some.map(({ size }) => size));
    const factor = Math.max(...some.map(({ size }) => size)) / first;
    return Array.from({ length: STEPS + 1 }, (_, step) => {
      const size = first * factor ** (step / STEPS);
      return { path, size, value: fit.base + fit.slope.median * size };
    });
  });
}

/** Paths that are drawn beside each other in one panel. */
export interface Panel {
  readonly title: string;
  readonly paths: readonly string[];
}

const SHARES = [
  ['p50', 'p50'],
  ['p90', 'p90'],
  ['p99', 'p99'],
  ['p999', 'p99.9'],
  ['mean', 'mean'],
] as const;
const PANEL_WIDTH = 240;
const TICKS = [
  3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000, 100_000, 1_000_000,
];

/** Percentiles as curves and the mean beside them; all panels have one scale, which is logarithmic. */
export function percentilesSpec(times: readonly PathTime[], panels: readonly Panel[]): object {
  const figures = times.flatMap(({ p50, p999, mean }) => [p50.low, p999.high, mean.high]);
  const domain = [Math.min(...figures) * 0.9, Math.max(...figures) * 1.1];
  const resolve = { scale: { color: 'independent' }, legend: { color: 'independent' } };
  return {
    spacing: 28,
    resolve,
    hconcat: panels.map((panel, index) => panelSpec(times, panel, { domain, first: index === 0 })),
  };
}

interface PanelOptions {
  readonly domain: readonly number[];
  /** Has the axis. */
  readonly first: boolean;
}

function panelSpec(times: readonly PathTime[], panel: Panel, { domain, first }: PanelOptions): object {
  const shown = panel.paths.flatMap((path) => times.filter((time) => time.path === path));
  const scale = { type: 'log', domain, nice: false };
  const axis = { labels: first, ticks: first, domain: first, values: TICKS };
  const y = (field: string): object => ({
    ...{ field, type: 'quantitative', scale, axis },
    title: first ? 'microseconds' : null,
  });
  const labels = SHARES.map(([, label]) => label);
  const x = { field: 'share', type: 'ordinal', sort: labels, scale: { domain: labels }, title: null };
  const legend = { orient: 'bottom', direction: 'vertical', symbolType: 'circle' };
  const color = {
    field: 'path',
    type: 'nominal',
    scale: colourScale(shown.map(({ path }) => path)),
    title: null,
    legend,
  };
  return {
    title: { text: panel.title, fontSize: 13, color: mark('ink') },
    width: PANEL_WIDTH,
    height: HEIGHT,
    data: { values: shown.flatMap(toRows) },
    encoding: { x: { ...x, axis: { labelAngle: 0 } }, color },
    layer: [
      {
        transform: [{ filter: "datum.share !== 'mean'" }],
        mark: { type: 'line', strokeWidth: 2, point: { size: 45, filled: true } },
        encoding: { y: y('median') },
      },
      { mark: { type: 'rule', strokeWidth: 1.5 }, encoding: { y: y('low'), y2: { field: 'high' } } },
      {
        transform: [{ filter: "datum.share === 'mean'" }],
        mark: { type: 'point', shape: 'diamond', filled: true, size: 90, opacity: 1 },
        encoding: { y: y('median') },
      },
    ],
  };
}

function toRows(time: PathTime) {
  return SHARES.map(([figure, share]) => {
    const { median, low, high } = time[figure];
    return { path: time.path, share, median, low, high };
  });
}
