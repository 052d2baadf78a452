// Bars from zero with the spread of the rounds and the goal: for ratios and for costs.
import { formatGoal, formatMedian } from '../figure.js';
import type { AnyResult, Unit } from '../report.js';
import { labelResults } from './labels.js';
import { mark } from './theme.js';

interface Bar {
  readonly label: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly goal: number | null;
  readonly state: 'met' | 'missed' | 'no goal';
  readonly text: string;
}

/** Of labels, bars and texts together, pixels; texts take TEXT of them, labels what they need. */
const WIDTH = 990;
const TEXT = 200;
const LABELS = 460;
const BARS = { least: 280, most: 440 } as const;
/** Of a label's character, at most. */
const CHARACTER = 7.6;
const STEP = 27;
const STATES = { met: 'met', missed: 'missed', 'no goal': 'plain' } as const;

/** All of one unit, and each of them measured. */
export function barsSpec(results: readonly AnyResult[], unit: Unit): object {
  const { labels } = labelResults(results);
  const bars = results.flatMap((result, at) => toBar(result, labels[at] ?? ''));
  const width = widthOf(bars);
  const most = Math.max(...bars.flatMap(({ high, goal }) => [high, goal ?? 0]), unit === 'ratio' ? 1 : 0);
  const least = Math.min(0, ...bars.map(({ low }) => low));
  const domain = [least * 1.04, most * 1.04];
  const isCost = results.every(({ better }) => better === 'less');
  const title = unit === 'ratio' && isCost ? 'times the cost; 1 is the same' : (UNIT_TITLES[unit] ?? unit);
  const axis = { tickCount: 6, grid: true };
  const x = (field: string): object => ({ field, type: 'quantitative', scale: { domain, nice: false }, title, axis });
  const y = { field: 'label', type: 'nominal', sort: null, title: null, axis: LABEL_AXIS };
  return {
    width,
    height: { step: STEP },
    data: { values: bars },
    encoding: { y },
    layer: [
      barLayer(x('median')),
      ...(unit === 'ratio' ? [lineAt(1, [4, 3])] : []),
      {
        mark: { type: 'rule', strokeWidth: 1.5, color: mark('ink') },
        encoding: { x: x('low'), x2: { field: 'high' } },
      },
      {
        transform: [{ filter: 'isValid(datum.goal)' }],
        mark: { type: 'tick', thickness: 3, size: 22, color: mark('ink') },
        encoding: { x: x('goal') },
      },
      {
        mark: { type: 'text', align: 'left', fontSize: 12, color: mark('ink') },
        encoding: { x: { value: width + 12 }, text: { field: 'text' } },
      },
    ],
  };
}

function widthOf(bars: readonly Bar[]): number {
  const labels = Math.min(LABELS, CHARACTER * Math.max(...bars.map(({ label }) => label.length)));
  return Math.max(BARS.least, Math.min(BARS.most, WIDTH - TEXT - labels));
}

const LABEL_AXIS = {
  labelLimit: LABELS,
  labelFontSize: 13,
  labelColor: mark('ink'),
  labelPadding: 8,
  ticks: false,
  domain: false,
} as const;

function barLayer(x: object): object {
  const states = Object.keys(STATES) as Bar['state'][];
  const range = states.map((state) => mark(STATES[state]));
  return {
    mark: { type: 'bar', height: 15 },
    encoding: {
      x,
      color: { field: 'state', type: 'nominal', scale: { domain: states, range }, legend: null },
    },
  };
}

const UNIT_TITLES: Partial<Record<Unit, string>> = {
  ratio: 'times as fast; 1 is as fast as what it is compared with',
  'Gb/s': 'gigabits a second',
  ns: 'nanoseconds',
  us: 'microseconds',
  ms: 'milliseconds',
};

function lineAt(value: number, strokeDash: readonly number[]): object {
  return {
    data: { values: [{}] },
    mark: { type: 'rule', strokeDash, color: mark('soft') },
    encoding: { x: { datum: value }, y: null },
  };
}

function toBar(result: AnyResult, label: string): Bar[] {
  const { spread, goal, met } = result;
  if (spread === undefined) return [];
  const { median, low, high } = spread;
  const verdict = met === undefined ? '' : met ? ' ✓' : ' ✗';
  const wanted =
    goal === undefined ? '' : ` · goal ${formatGoal(result).replace('>=', '≥').replace('<=', '≤')}${verdict}`;
  return [
    {
      ...{ median, low, high, goal: goal?.value ?? null },
      label,
      state: met === undefined ? 'no goal' : met ? 'met' : 'missed',
      text: `${formatMedian(result)}${wanted}`,
    },
  ];
}
