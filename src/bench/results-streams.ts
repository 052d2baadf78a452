// Streams: ratios of bytes a second, and the bytes a second of every path. Pure.
import { SELF_CHECK, type StreamComparison } from './goals.js';
import { pairedRatios, ratioOf, saidOf, type Timed } from './ratios.js';
import type { PathResult, Samples } from './samples.js';
import { summarize } from './statistics.js';
import { describeTroubles, noteOf } from './troubles.js';

/** Nanoseconds of a byte. */
export function streamTimes({ streams }: Samples, flows: number): Timed[] {
  return streams
    .filter((sample) => sample.flows === flows)
    .map(({ peer, round, gigabitsPerSecond }) => ({ peer, round, time: 8 / gigabitsPerSecond }));
}

/** Of both paths. */
export function compareStreams(samples: Samples, comparison: StreamComparison): PathResult {
  const { flows } = comparison;
  const runs = samples.streams.filter((sample) => sample.flows === flows);
  const ratios = pairedRatios(streamTimes(samples, flows), comparison);
  const failed = runs.filter(({ gigabitsPerSecond }) => Number.isNaN(gigabitsPerSecond));
  return ratioOf({ ...comparison, what: streamName(flows), ratios, ...saidOf(comparison, { runs, failed }) });
}

function streamName(flows: number): string {
  return flows === 1 ? 'stream' : `stream, ${flows} connections`;
}

/** Of all paths, with what stood in the way at either end. */
export function listStreams({ streams }: Samples): PathResult[] {
  const groups = [...Map.groupBy(streams, ({ peer, flows }) => `${peer} ${flows}`)].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return groups.flatMap(([, runs]): PathResult[] => {
    const [first] = runs;
    const spread = summarize(runs.map(({ gigabitsPerSecond }) => gigabitsPerSecond).filter(Number.isFinite));
    if (first === undefined || spread === undefined || first.peer === SELF_CHECK.subject) return [];
    const { peer: path, flows } = first;
    const section = flows === 1 ? 'stream' : 'parallel';
    const base = { section, name: `  ${path}`, what: streamName(flows), unit: 'Gb/s', path, better: 'more' } as const;
    return [{ ...base, spread, ...noteOf([describeTroubles(path, runs)]) }];
  });
}
