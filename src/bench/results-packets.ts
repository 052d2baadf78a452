// Packets on a saturated CPU: ratios of two paths, and what one packet costs on each. Pure.
import type { PacketComparison } from './goals.js';
import { pairedRatios, ratioOf } from './ratios.js';
import type { PathResult, Samples } from './samples.js';
import { summarize } from './statistics.js';
import { noteOf } from './troubles.js';

/** Of both paths. */
export function comparePackets({ packets }: Samples, comparison: PacketComparison): PathResult {
  const runs = packets.filter(({ kind }) => kind === comparison.kind);
  const times = runs.map(({ peer, round, nanoseconds }) => ({ peer, round, time: nanoseconds }));
  const absent = [comparison.subject, comparison.reference].filter((name) => !runs.some(({ peer }) => peer === name));
  const reasons = absent.map((name) => `${name} is missing`);
  return ratioOf({ ...comparison, what: comparison.kind, ratios: pairedRatios(times, comparison), reasons });
}

/** On a saturated CPU, so that it is the CPU's time too. */
export function listPacketTimes({ packets }: Samples): PathResult[] {
  const groups = [...Map.groupBy(packets, ({ peer, kind }) => `${kind} ${peer}`)].sort(([a], [b]) => (a < b ? -1 : 1));
  return groups.flatMap(([, runs]): PathResult[] => {
    const [first] = runs;
    const spread = summarize(runs.map(({ nanoseconds }) => nanoseconds).filter(Number.isFinite));
    if (first === undefined || spread === undefined) return [];
    const { peer: path, kind: what } = first;
    const section = what === '1 flow' ? 'packets' : 'new-flows';
    const lost = Math.max(...runs.map((run) => run.lost));
    const note = lost === 0 ? undefined : `up to ${(lost * 100).toFixed(2)} % of a run's packets were lost`;
    const name = `  ${path}, sender and sink included`;
    return [{ section, name, what, unit: 'ns', path, spread, ...noteOf([note]) }];
  });
}
