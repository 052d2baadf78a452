// From samples to results: the half and the slowest of a round's requests, and the others' time divided by ours. Pure.
import { atMost, pairedRatios, type Timed } from '../ratios.js';
import { quantileOf, summarize } from '../statistics.js';
import { CNI_GOALS, type CniSection, POD_COUNTS } from './goals.js';
import type { CniCommand, CniSample } from './request.js';
import type { CniResult, CniSamples } from './samples.js';

const COMMANDS: readonly CniCommand[] = ['ADD', 'DEL'];
const FRACTIONS = { p50: 0.5, p99: 0.99 } as const;
type Percentile = keyof typeof FRACTIONS;

/** Every result of the sections. */
export function judgeCni({ requests }: CniSamples, sections: readonly CniSection[]): CniResult[] {
  return sections.flatMap((section) =>
    COMMANDS.flatMap((command) => {
      const here = requests.filter((sample) => sample.section === section && sample.command === command);
      const what = describe(section);
      return [
        ...percentilesOf(section).map((percentile) => judgeTime({ here, section, command, what, percentile })),
        judgeRatio({ here, section, command, what }),
      ];
    }),
  );
}

function describe(section: CniSection): string {
  return POD_COUNTS[section] === 1 ? 'one at a time' : `${POD_COUNTS[section]} at once`;
}

/** Of one request there is no slowest one in a hundred. */
function percentilesOf(section: CniSection): readonly Percentile[] {
  return POD_COUNTS[section] === 1 ? ['p50'] : ['p50', 'p99'];
}

interface Judging {
  readonly here: readonly CniSample[];
  readonly section: CniSection;
  readonly command: CniCommand;
  readonly what: string;
}

/** Our own time; the other plugins' stands beside it. */
function judgeTime({ here, section, command, what, percentile }: Judging & { percentile: Percentile }): CniResult {
  const base = { section, name: `${command}, ${percentile}`, what, unit: 'ms', path: 'isthmus' } as const;
  const times = (peer: string): number[] =>
    timesOf(here, percentile).flatMap((one) => (one.peer === peer ? one.time : []));
  const spread = summarize(times('isthmus'));
  if (spread === undefined) return { ...base, note: 'nothing was measured' };
  const bridge = summarize(times('bridge'));
  const note = bridge === undefined ? {} : { note: `bridge ${bridge.median.toFixed(1)} ms` };
  return { ...base, spread, ...atMost(spread, command === 'ADD' ? CNI_GOALS[percentile] : undefined), ...note };
}

function judgeRatio({ here, section, command, what }: Judging): CniResult {
  const base = {
    section,
    name: `${command}, bridge / isthmus`,
    what,
    unit: 'ratio',
    path: 'isthmus',
    peer: 'bridge',
  } as const;
  const spread = summarize(pairedRatios(timesOf(here, 'p50'), { subject: 'isthmus', reference: 'bridge' }));
  return spread === undefined ? { ...base, note: 'bridge is missing' } : { ...base, spread };
}

/** One time for each round. */
function timesOf(samples: readonly CniSample[], percentile: Percentile): Timed[] {
  return samples.map(({ peer, round, milliseconds }) => {
    return { peer, round, time: quantileOf(milliseconds, FRACTIONS[percentile]) };
  });
}
