// A straight line through costs by size: what each further Service, flow or pod costs. Pure.
import { type Spread, summarize } from './statistics.js';

export interface Point {
  readonly size: number;
  readonly value: number;
}

export interface Fit {
  /** More of the value for one more of the size: median and quartiles of the slopes of all pairs (Theil and Sen). */
  readonly slope: Spread;
  /** At size 0. */
  readonly base: number;
}

/** undefined with fewer than three sizes: any two points are on a line. */
export function fitLine(points: readonly Point[]): Fit | undefined {
  const sizes = new Set(points.map(({ size }) => size));
  const slope = summarize(points.flatMap((a, index) => points.slice(index + 1).flatMap((b) => slopeOf(a, b))));
  if (sizes.size < 3 || slope === undefined) return undefined;
  const bases = summarize(points.map(({ size, value }) => value - slope.median * size));
  return { slope, base: bases?.median ?? Number.NaN };
}

function slopeOf(a: Point, b: Point): number[] {
  return a.size === b.size ? [] : [(b.value - a.value) / (b.size - a.size)];
}
