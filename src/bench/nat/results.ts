// From samples to results: what is compared is paired round by round, and judged by its median. Pure.
import { atLeast, atMost, pairedRatios, type Timed } from '../ratios.js';
import { summarize } from '../statistics.js';
import { NAT_GOALS, type NatSection } from './goals.js';
import type { NatPacketSample, PacketKind } from './packets.js';
import { POD_COUNTS, type PortReuseSample, type Timestamps } from './port-reuse.js';
import { type NatProgramSample, TABLE_SIZES } from './programs.js';
import { judgeRemoval } from './results-removal.js';
import { judgeHistory, judgeJournal, judgeManyFlows, judgeProbes } from './results-table.js';
import type { NatResult, NatSamples } from './samples.js';

/** Every result of the sections. */
export function judgeNat(samples: NatSamples, sections: readonly NatSection[]): NatResult[] {
  const judges: Readonly<Record<NatSection, () => NatResult[]>> = {
    programs: () => judgePrograms(samples.programs),
    packets: () => (['1 k flows', '50 k flows'] as const).flatMap((kind) => judgePackets(samples.packets, kind)),
    'new-flows': () => judgePackets(samples.packets, 'new flows'),
    'port-reuse': () => judgePortReuse(samples.portReuse),
    'many-flows': () => judgeManyFlows(samples.manyFlows),
    probes: () => judgeProbes(samples.probes),
    journal: () => judgeJournal(samples.journal),
    history: () => judgeHistory(samples.history),
    removal: () => judgeRemoval(samples.removal),
  };
  return sections.flatMap((section) => judges[section]());
}

const WAYS = { out: 'to outside', in: 'from outside' } as const;

/** Every table size in both directions; the other family only where the table does not matter. */
function judgePrograms(samples: readonly NatProgramSample[]): NatResult[] {
  return TABLE_SIZES.flatMap((flows) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) =>
      (['out', 'in'] as const).flatMap((direction) => judgeProgram(samples, { flows, family, direction })),
    ),
  );
}

type Way = Pick<NatProgramSample, 'flows' | 'family' | 'direction'>;

function judgeProgram(samples: readonly NatProgramSample[], { flows, family, direction }: Way): NatResult[] {
  const here = samples.filter((sample) => sample.family === family && sample.direction === direction);
  const flat = new Map(here.filter(({ node }) => node === 'flat').map((one) => [one.round, one.nanoseconds]));
  const differences = here
    .filter((sample) => sample.node === 'island' && sample.flows === flows)
    .map(({ round, nanoseconds }) => nanoseconds - (flat.get(round) ?? Number.NaN))
    .filter(Number.isFinite);
  const hot = flows === TABLE_SIZES[0];
  const note = noteRuns(here.filter((sample) => sample.node === 'flat' || sample.flows === flows));
  const what = `${family}, ${hot ? 'in the cache' : `${flows} flows, random`}`;
  const name = `island - flat, ${WAYS[direction]}`;
  const size = { of: 'flows', count: flows };
  const base = { section: 'programs', name, unit: 'ns', path: 'island', peer: 'flat', size } as const;
  const spread = summarize(differences);
  if (spread) return [{ ...base, what, spread, ...atMost(spread, hot ? NAT_GOALS.programs : undefined), note }];
  return hot ? [{ ...base, what, note: 'no round has both' }] : [];
}

/** Both runs, the cost of running a program at all included. */
function noteRuns(samples: readonly NatProgramSample[]): string {
  const medians = (['flat', 'island'] as const).map((node) => {
    const spread = summarize(samples.filter((sample) => sample.node === node).map(({ nanoseconds }) => nanoseconds));
    return `${node} ${spread?.median.toFixed(1) ?? '-'} ns`;
  });
  return medians.join(', ');
}

function timesOf(samples: readonly NatPacketSample[], kind: PacketKind): Timed[] {
  return samples
    .filter((sample) => sample.kind === kind)
    .map(({ peer, round, nanoseconds }) => ({ peer, round, time: nanoseconds }));
}

/** What a packet costs against flat, and how many pass against netfilter. */
function judgePackets(samples: readonly NatPacketSample[], kind: PacketKind): NatResult[] {
  const times = timesOf(samples, kind);
  const section: NatSection = kind === 'new flows' ? 'new-flows' : 'packets';
  const cost = summarize(pairedRatios(times, { subject: 'flat', reference: 'island' }));
  const speed = summarize(pairedRatios(times, { subject: 'island', reference: 'masquerade' }));
  const most: number | undefined = kind === 'new flows' ? undefined : NAT_GOALS.packets[kind];
  const least: number | undefined = kind === '1 k flows' ? undefined : NAT_GOALS.masquerade[kind];
  const lost = noteLost(samples.filter((sample) => sample.kind === kind));
  const base = { section, what: kind, unit: 'ratio' } as const;
  return [
    {
      ...base,
      name: 'cost of a packet, island / flat',
      path: 'island',
      peer: 'flat',
      better: 'less',
      ...lost,
      ...(cost ? { spread: cost, ...atMost(cost, most) } : absent(samples, ['flat', 'island'])),
    },
    {
      ...base,
      name: 'packets a second, island / masquerade',
      path: 'island',
      peer: 'masquerade',
      ...(speed ? { spread: speed, ...atLeast(speed, least) } : absent(samples, ['island', 'masquerade'])),
    },
    ...(['flat', 'island', 'masquerade'] as const).flatMap((peer) => nanosecondsOf(times, peer, base)),
  ];
}

function nanosecondsOf(times: readonly Timed[], peer: string, base: Pick<NatResult, 'section' | 'what'>): NatResult[] {
  const spread = summarize(
    times
      .filter((one) => one.peer === peer)
      .map(({ time }) => time)
      .filter(Number.isFinite),
  );
  const name = `  ${peer}, sender and sink included`;
  return spread ? [{ ...base, name, path: peer, unit: 'ns', spread }] : [];
}

function noteLost(samples: readonly NatPacketSample[]): Pick<NatResult, 'note'> {
  const worst = Math.max(0, ...samples.map(({ lost }) => lost));
  return worst === 0 ? {} : { note: `up to ${(worst * 100).toFixed(2)} % of a run's packets were lost` };
}

function absent(samples: readonly { readonly peer: string; readonly error?: string }[], peers: readonly string[]) {
  const reasons = peers.flatMap((peer) => {
    const runs = samples.filter((sample) => sample.peer === peer);
    if (runs.length === 0) return [`${peer} is missing`];
    return runs.every(({ error }) => error !== undefined) ? [`${peer}: ${runs[0]?.error}`] : [];
  });
  return { note: reasons.join('; ') || 'no round has both' };
}

function judgePortReuse(samples: readonly PortReuseSample[]): NatResult[] {
  return (['on', 'off'] as const).flatMap((timestamps) =>
    POD_COUNTS.flatMap((pods) => {
      const here = samples.filter((sample) => sample.pods === pods && sample.timestamps === timestamps);
      const kind = { pods, timestamps };
      return [
        ...(['island', 'masquerade'] as const).map((peer) => judgeRate(here, peer, kind)),
        ...(['flat', 'island', 'masquerade'] as const).flatMap((peer) => judgeRetransmits(here, peer, kind)),
      ];
    }),
  );
}

interface ReuseKind {
  readonly pods: number;
  readonly timestamps: Timestamps;
}

function describe({ pods, timestamps }: ReuseKind) {
  return {
    what: `${pods} pod${pods === 1 ? '' : 's'}, timestamps ${timestamps}`,
    size: { of: 'pods', count: pods },
  };
}

/** The mean of connections a second; netfilter's is there to be compared with. */
function judgeRate(samples: readonly PortReuseSample[], peer: 'island' | 'masquerade', kind: ReuseKind): NatResult {
  const times = samples.map(
    (sample): Timed => ({ peer: sample.peer, round: sample.round, time: 1 / sample.perSecond }),
  );
  const spread = summarize(pairedRatios(times, { subject: peer, reference: 'flat' }));
  const goals: Readonly<Record<number, number>> = NAT_GOALS.portReuse;
  const name = `connections a second, ${peer} / flat`;
  const base = { section: 'port-reuse', name, path: peer, peer: 'flat', ...describe(kind) } as const;
  if (!spread) return { ...base, unit: 'ratio', ...absent(samples, [peer, 'flat']) };
  return { ...base, unit: 'ratio', spread, ...atLeast(spread, peer === 'island' ? goals[kind.pods] : undefined) };
}

/** One of many runs is one too many: judged by all of them together. */
function judgeRetransmits(samples: readonly PortReuseSample[], peer: string, kind: ReuseKind): NatResult[] {
  const runs = samples.filter((sample) => sample.peer === peer);
  const spread = summarize(runs.map(({ synRetransmits }) => synRetransmits));
  if (!spread) return [];
  const total = runs.reduce((sum, { synRetransmits }) => sum + synRetransmits, 0);
  const connections = runs.reduce((sum, run) => sum + run.connections, 0);
  const errors = runs.reduce((sum, run) => sum + run.errors, 0);
  const value = NAT_GOALS.synRetransmits;
  const judged = peer === 'island' ? { goal: { kind: 'at-most', value } as const, met: total <= value } : {};
  const failed = errors === 0 ? '' : `, ${errors} failed`;
  const note = `${total} in ${connections} connections${failed}`;
  const name = `  SYNs sent again in a run, ${peer}`;
  return [{ section: 'port-reuse', name, ...describe(kind), path: peer, unit: 'count', spread, ...judged, note }];
}
