// Why a goal was missed, as far as the same run has measured it. Pure.
import { formatWithUnit } from '../figure.js';
import type { AnyResult, BenchReport } from '../report.js';

/** Of results with these names, in the sections. */
interface Explanation {
  readonly section: string;
  readonly name: RegExp;
  /** undefined when this run has not measured it. */
  readonly explain: (result: AnyResult, report: Pick<BenchReport, 'results' | 'times'>) => string | undefined;
}

const EXPLANATIONS: readonly Explanation[] = [
  { section: 'same-node', name: /^same-node \/ raw$/, explain: beside('bare-same') },
  { section: 'cross-node', name: /^cross-node \/ host-host$/, explain: beside('bare-cross') },
  { section: 'island', name: /^island \/ flat$/, explain: programsBeside },
  { section: 'masquerade', name: /^island \/ masquerade$/, explain: withoutTranslation },
  { section: 'stream', name: /^same-node(-ipv6)? \/ raw/, explain: besideLargePackets },
  { section: 'latency', name: /^(socket|packet) \/ the same with/, explain: noiseOf },
  { section: 'latency', name: /^(socket|packet) \/ /, explain: aboveThePod },
  {
    section: 'packets',
    name: /50 k flows|island \/ (flat|masquerade)$/,
    explain: (result, { results }) => {
      if (result.what !== '50 k flows') return undefined;
      const random = results.find(
        ({ section, what, name }) =>
          section === 'programs' && what === 'ipv4, 51200 flows, random' && / to /.test(name),
      );
      if (random?.spread === undefined) return undefined;
      const more = formatWithUnit(random.spread.median, random.unit);
      return `the entries of so many flows are not in the cache: the program alone takes ${more} more than flat's`;
    },
  },
  {
    section: 'programming',
    name: /^from nothing, in the kernel, ours/,
    explain: (result, { results }) => {
      const kernel = results.find(({ name, what }) => name.trim() === 'in the kernel' && what === result.what);
      if (kernel?.spread === undefined || kernel.note === undefined) return undefined;
      return `${kernel.note} take the kernel ${formatWithUnit(kernel.spread.median, kernel.unit)}`;
    },
  },
];

/** One sentence without a full stop; undefined when no measurement says why. */
export function reasonOf(result: AnyResult, report: BenchReport): string | undefined {
  const found = EXPLANATIONS.find(({ section, name }) => section === result.section && name.test(result.name));
  return found?.explain(result, report);
}

/** What the smallest programs reach against the same limit, and how near to them we are. */
function beside(bare: string): Explanation['explain'] {
  return ({ path, peer, what }, { results }) => {
    const at = (subject?: string, reference?: string): AnyResult | undefined =>
      results.find((one) => one.path === subject && one.peer === reference && one.what === what);
    const [limit, near] = [at(bare, peer)?.spread, at(path, bare)?.spread];
    if (!limit || !near) return undefined;
    return (
      `programs that only hand packets over reach ${limit.median.toFixed(3)} on this machine, and ours are at ` +
      `${near.median.toFixed(3)} of them`
    );
  };
}

/** What the programs take more, packet by packet: new connections do more than that. */
function programsBeside({ what }: AnyResult, { results, times }: Pick<BenchReport, 'results' | 'times'>) {
  const time = times.find(({ path, test }) => path === 'flat' && test === what)?.p50.median;
  const taken = (name: string): number | undefined =>
    results.find((one) => one.section === 'programs' && one.name === name)?.spread?.median;
  const ways = ['to outside', 'from outside'].map(
    (way) => (taken(`island, ${way}`) ?? 0) - (taken(`flat, ${way}`) ?? 0),
  );
  if (time === undefined || what === 'crr' || ways.some((more) => more <= 0)) return undefined;
  const [out, back] = ways.map((more) => `${more.toFixed(0)} ns`);
  return `the programs take ${out} more out and ${back} more back, of ${time.toFixed(2)} us that flat takes in all`;
}

/** What is left to gain: no translation at all. */
function withoutTranslation({ what }: AnyResult, { times }: Pick<BenchReport, 'times'>) {
  const at = (name: string): number | undefined =>
    times.find(({ path, test }) => path === name && test === what)?.p50.median;
  const [flat, masquerade] = [at('flat'), at('masquerade')];
  if (flat === undefined || masquerade === undefined) return undefined;
  return `without any translation (flat) it is ${(masquerade / flat).toFixed(3)} on this machine, by the medians`;
}

/** What the bare pair reaches when it takes as large packets as pods do. */
function besideLargePackets({ peer }: AnyResult, { results }: Pick<BenchReport, 'results'>) {
  const big = results.find(({ path, peer: other }) => path === peer?.replace('raw', 'raw-big') && other === peer);
  if (big?.spread === undefined) return undefined;
  return `the bare pair with packets of 192 KiB reaches ${big.spread.median.toFixed(3)} on this machine`;
}

/** How far the same thing, measured twice, differs in this run. */
function noiseOf({ what }: AnyResult, { results }: Pick<BenchReport, 'results'>) {
  const [test = ''] = what.split(',');
  const checks = results.filter((one) => one.section === 'self-check' && one.what.startsWith(`${test},`));
  const most = Math.max(...checks.map(({ spread }) => Math.abs((spread?.median ?? 1) - 1)));
  return most > 0
    ? `the pod itself, measured twice, differs by up to ${(most * 100).toFixed(1)} % in this run`
    : undefined;
}

/** What a connection takes more than one to the pod itself, and how much that is here. */
function aboveThePod({ path, what, size }: AnyResult, { results, times }: Pick<BenchReport, 'results' | 'times'>) {
  const above = results.find(
    ({ name, what: of }) => of === what && name.trim() === `a connection above the pod itself, ${path}`,
  );
  const [test] = what.split(',');
  const direct = times.find((one) => one.path === 'direct' && one.test === test && one.size?.count === size?.count);
  if (above?.spread === undefined || direct === undefined) return undefined;
  const [more, all] = [above.spread.median, direct.p50.median].map((time) => formatWithUnit(time, 'us'));
  return `a connection takes ${more} more than the ${all} of one to the pod itself on this machine`;
}
