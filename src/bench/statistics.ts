// Medians and quartiles of a handful of numbers.

export interface Spread {
  readonly median: number;
  /** First and third quartile. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/**
 * How far the median of many such rounds may be from this one, with 95 % confidence: half of a notch (McGill, Tukey,
 * Larsen 1978).
 */
export function notchOf({ low, high, count }: Spread): number {
  return (1.57 * (high - low)) / Math.sqrt(count);
}

/** undefined when there is nothing to summarize. */
export function summarize(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.25),
    high: quantile(sorted, 0.75),
    count: sorted.length,
  };
}

/** Of values in any order; NaN when there are none. */
export function quantileOf(values: readonly number[], fraction: number): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    fraction,
  );
}

/** Between two values where the quantile falls between them. */
function quantile(sorted: readonly number[], fraction: number): number {
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** In random order, so that no peer always follows the same other one. */
export function shuffle<T>(items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
  }
  return shuffled;
}
