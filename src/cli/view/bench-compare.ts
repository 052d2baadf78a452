// A comparison of two reports as rows of a table.
import type { Difference, ReportComparison } from '../../bench/compare.js';
import { formatFigure, formatWithUnit } from '../../bench/figure.js';
import type { Noun } from '../output.js';

export interface DifferenceRow {
  readonly section: string;
  readonly name: string;
  readonly what: string;
  readonly before: string;
  readonly after: string;
  readonly change: string;
  readonly noise: string;
  readonly verdict: string;
}

export const DIFFERENCES: Noun = {
  kind: 'BenchComparison',
  empty: '',
  columns: [
    { header: 'SECTION', path: 'section' },
    { header: 'COMPARED', path: 'name' },
    { header: 'WHAT', path: 'what' },
    { header: 'BEFORE', path: 'before' },
    { header: 'AFTER', path: 'after' },
    { header: 'CHANGE', path: 'change' },
    { header: 'NOISE', path: 'noise' },
    { header: 'VERDICT', path: 'verdict', colours: { better: 'green', worse: 'red' } },
  ],
};

export function differenceRow({ section, name, what, unit, before, after, noise, verdict }: Difference): DifferenceRow {
  const difference = after.median - before.median;
  const sign = difference > 0 ? '+' : '';
  const share = before.median === 0 ? '' : ` (${sign}${((difference / before.median) * 100).toFixed(1)} %)`;
  return {
    section,
    name,
    what,
    before: formatWithUnit(before.median, unit),
    after: formatWithUnit(after.median, unit),
    change: `${sign}${formatFigure(difference, unit)}${share}`,
    noise: formatFigure(noise, unit),
    verdict,
  };
}

/** What there is to say beside the figures that moved. */
export function describeComparison({ differences, onlyBefore, onlyAfter, notes }: ReportComparison): string[] {
  const count = (verdict: Difference['verdict']): number => differences.filter((one) => one.verdict === verdict).length;
  const moved = count('moved') === 0 ? '' : `, ${count('moved')} differ from themselves`;
  return [
    ...notes.map((note) => `note: ${note}`),
    ...onlyBefore.map((name) => `only before: ${name}`),
    ...onlyAfter.map((name) => `only after: ${name}`),
    `${count('better')} better, ${count('worse')} worse, ${count('same')} within the noise${moved}`,
  ];
}
