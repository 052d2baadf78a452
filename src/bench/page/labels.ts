// What results are called in a chart: what they have in common is said once, and not at every bar.
import type { AnyResult } from '../report.js';

export interface Labels {
  /** One for each result, in their order. */
  readonly labels: readonly string[];
  /** What was left out of them; empty when nothing was. */
  readonly common: string;
}

/** Parts are what stands between commas: leading ones of the names, and any of what they are about. */
export function labelResults(results: readonly Pick<AnyResult, 'name' | 'what'>[]): Labels {
  const names = results.map(({ name }) => partsOf(name));
  const whats = results.map(({ what }) => partsOf(what));
  if (results.length < 2)
    return { labels: names.map((parts, at) => [...parts, ...(whats[at] ?? [])].join(', ')), common: '' };
  const leading = commonStart(names);
  const shared = (whats[0] ?? []).filter((part) => whats.every((parts) => parts.includes(part)));
  const labels = names.map((parts, at) => {
    const rest = (whats[at] ?? []).filter((part) => !shared.includes(part));
    return [...parts.slice(leading.length), ...rest].join(', ');
  });
  return { labels, common: [...leading, ...shared].join(', ') };
}

/** A name keeps at least its last part. */
function commonStart(names: readonly (readonly string[])[]): string[] {
  const [first = []] = names;
  const most = Math.min(...names.map(({ length }) => length)) - 1;
  const differing = first.findIndex((part, at) => at >= most || names.some((parts) => parts[at] !== part));
  return first.slice(0, Math.max(0, differing));
}

function partsOf(text: string): string[] {
  return text
    .trim()
    .split(', ')
    .filter((part) => part !== '');
}
