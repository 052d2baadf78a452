// How figures read: digits and units, for tables, pages and charts alike.
import type { AnyResult, Unit } from './report.js';

const DIGITS = { ratio: 3, 'Gb/s': 2, ms: 2, us: 2, ns: 1, MB: 1, bytes: 0, '%': 3, count: 0 } as const;
/** Units that go without saying. */
const UNNAMED: readonly Unit[] = ['ratio', 'count'];
const SIGNS = { 'at-least': '>=', 'at-most': '<=', one: '=' } as const;

/** With as many digits as the unit deserves, without the unit. */
export function formatFigure(value: number, unit: Unit): string {
  return value.toFixed(DIGITS[unit]);
}

/** With the unit, unless it goes without saying. */
export function formatWithUnit(value: number, unit: Unit): string {
  return `${formatFigure(value, unit)}${suffixOf(unit)}`;
}

/** The median; with more digits where it only just misses its goal and would look like it. */
export function formatMedian({ spread, unit, goal, met }: AnyResult): string {
  if (spread === undefined) return '-';
  const near = goal !== undefined && met === false && Number(formatFigure(spread.median, unit)) === goal.value;
  return `${near ? spread.median.toFixed(DIGITS[unit] + 2) : formatFigure(spread.median, unit)}${suffixOf(unit)}`;
}

/** e.g. `>= 0.96`; `-` without one. */
export function formatGoal({ goal, unit }: Pick<AnyResult, 'goal' | 'unit'>): string {
  return goal ? `${SIGNS[goal.kind]} ${goal.value}${suffixOf(unit)}` : '-';
}

/** The quartiles; `-` where nothing could be measured. */
export function formatQuartiles({ spread, unit }: Pick<AnyResult, 'spread' | 'unit'>): string {
  return spread ? `${formatFigure(spread.low, unit)} - ${formatFigure(spread.high, unit)}` : '-';
}

function suffixOf(unit: Unit): string {
  return UNNAMED.includes(unit) ? '' : ` ${unit}`;
}
