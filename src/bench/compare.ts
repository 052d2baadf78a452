// Two reports beside each other: what moved beyond the noise, and what only one of them has. Pure.
import type { AnyResult, BenchReport, PathTime, Unit } from './report.js';
import { notchOf, type Spread } from './statistics.js';

/** `moved` is neither better nor worse: how a path differs from itself. */
export type Verdict = 'better' | 'worse' | 'moved' | 'same';

/** A figure of both reports. */
export interface Difference {
  readonly section: string;
  readonly name: string;
  readonly what: string;
  readonly unit: Unit;
  readonly before: Spread;
  readonly after: Spread;
  /** What the medians must differ by to be more than noise, in the unit. */
  readonly noise: number;
  readonly verdict: Verdict;
}

export interface ReportComparison {
  readonly differences: readonly Difference[];
  /** Section, name and test of what the other one has no figure for. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Why figures were left out, or are to be read with care. */
  readonly notes: readonly string[];
}

/** What one run differs from the next by, whatever its own rounds say; shares of the larger median. */
const FLOORS = { ratio: 0.01, absolute: 0.05, once: 0.1 } as const;
/** Of another machine they say nothing. */
const ABSOLUTE: readonly Unit[] = ['Gb/s', 'ms', 'us', 'ns', 'MB'];

interface Figure extends Pick<AnyResult, 'section' | 'name' | 'what' | 'unit' | 'goal' | 'better'> {
  readonly spread: Spread;
}

/** Both must be of the same benchmark. */
export function compareReports(before: BenchReport, after: BenchReport): ReportComparison {
  const differing = differingMachine(before, after);
  const [olds, news] = [figuresOf(before), figuresOf(after)];
  const comparable = (figure: Figure): boolean => differing.length === 0 || !ABSOLUTE.includes(figure.unit);
  const differences = [...olds].flatMap(([key, old]) => {
    const fresh = news.get(key);
    if (fresh === undefined || !comparable(old)) return [];
    const self = Math.max(...[before, after].map((report) => selfDeviation(report, fresh)));
    return [compareFigures(old, fresh, self)];
  });
  return {
    differences,
    onlyBefore: [...olds.keys()].filter((key) => !news.has(key)),
    onlyAfter: [...news.keys()].filter((key) => !olds.has(key)),
    notes: [...notesOn(differing), ...notesOnEffort(before, after)],
  };
}

/** By what they are called. */
function figuresOf({ results, times }: BenchReport): Map<string, Figure> {
  const measured = results.flatMap((result) => (result.spread ? [{ ...result, spread: result.spread }] : []));
  const figures: Figure[] = [...measured, ...times.flatMap(figuresOfTime)];
  return new Map(figures.map((figure) => [`${figure.section}: ${figure.name.trim()}, ${figure.what}`, figure]));
}

function figuresOfTime({ path, test, size, ...time }: PathTime): Figure[] {
  const what = size === undefined ? test : `${test}, ${size.count} ${size.of}`;
  const of = (name: string, spread: Spread): Figure => ({ section: 'times', name, what, unit: 'us', spread });
  return [of(`${path}, p50`, time.p50), of(`${path}, p99`, time.p99), of(`${path}, mean`, time.mean)];
}

function compareFigures(old: Figure, fresh: Figure, self: number): Difference {
  const { section, name, what, unit } = fresh;
  const [before, after] = [old.spread, fresh.spread];
  const noise = noiseOf(before, after, { unit, self });
  const apart = isOutside(before.median, after) && isOutside(after.median, before);
  const moved = apart && Math.abs(after.median - before.median) > noise;
  return {
    ...{ section, name: name.trim(), what, unit, before, after, noise },
    verdict: moved ? verdictOf(fresh, before.median, after.median) : 'same',
  };
}

function isOutside(median: number, { low, high }: Spread): boolean {
  return median < low || median > high;
}

/** The larger of what the rounds say and what runs differ by. */
function noiseOf(before: Spread, after: Spread, { unit, self }: { unit: Unit; self: number }): number {
  const largest = Math.max(Math.abs(before.median), Math.abs(after.median));
  return Math.max(Math.hypot(notchOf(before), notchOf(after)), floorOf(before, after, { unit, self }) * largest);
}

/** Things that are counted are there or not. */
function floorOf(before: Spread, after: Spread, { unit, self }: { unit: Unit; self: number }): number {
  if (unit === 'count') return 0;
  const floor = unit === 'ratio' ? FLOORS.ratio : FLOORS.absolute;
  const once = Math.min(before.count, after.count) === 1 ? FLOORS.once : 0;
  return Math.max(floor, self, once);
}

function verdictOf(figure: Figure, before: number, after: number): Verdict {
  if (figure.section === 'self-check') return 'moved';
  if (figure.goal?.kind === 'one') return Math.abs(after - 1) > Math.abs(before - 1) ? 'worse' : 'better';
  return after > before === moreIsBetter(figure) ? 'better' : 'worse';
}

/** Whether a larger figure is the better one: by its goal, by what it says itself, and else by its unit. */
export function moreIsBetter({ goal, better, unit }: Pick<AnyResult, 'goal' | 'better' | 'unit'>): boolean {
  if (goal !== undefined && goal.kind !== 'one') return goal.kind === 'at-least';
  if (better !== undefined) return better === 'more';
  return unit === 'ratio' || unit === 'Gb/s';
}

/** How far a path was from itself: in the same test where that was checked, and else in any of them. */
function selfDeviation({ results }: BenchReport, { what }: Pick<Figure, 'what'>): number {
  const testOf = (text: string): string => text.replace(/,.*/, '');
  const checks = results.filter(({ section }) => section === 'self-check');
  const same = checks.filter((check) => testOf(check.what) === testOf(what));
  const deviations = (same.length > 0 ? same : checks).map(({ spread }) => (spread ? Math.abs(spread.median - 1) : 0));
  return Math.max(0, ...deviations);
}

function differingMachine({ machine: a }: BenchReport, { machine: b }: BenchReport): string[] {
  return (['kernel', 'processor', 'cpus', 'cpu'] as const)
    .filter((fact) => a[fact] !== b[fact])
    .map((fact) => `${fact} ${a[fact]} and ${b[fact]}`);
}

function notesOn(differing: readonly string[]): string[] {
  if (differing.length === 0) return [];
  return [`not the same machine (${differing.join('; ')}): only ratios, shares and counts are compared`];
}

function notesOnEffort({ settings: a }: BenchReport, { settings: b }: BenchReport): string[] {
  return a.quick === b.quick ? [] : ['one of them is of --quick, whose rounds are shorter'];
}
