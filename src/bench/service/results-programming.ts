// From times of programming to results. Pure.

import { atLeast, atMost, pairedRatios, type Timed } from '../ratios.js';
import type { Unit } from '../report.js';
import { type Spread, summarize } from '../statistics.js';
import { SERVICE_GOALS } from './goals.js';
import type { ChangeAnswer } from './programmer.js';
import type { AgentSample, ChangesSample, FillSample, ProgrammingSamples, Table, ToolSample } from './programming.js';
import { COMPARED, LARGE } from './programming.js';
import type { ServiceResult } from './samples.js';

export function judgeProgramming(samples: ProgrammingSamples): ServiceResult[] {
  const tables = [...new Map(samples.fills.map((one) => [whatOf(one), one])).values()].sort(
    (a, b) => a.services * a.backends - b.services * b.backends,
  );
  return [
    ...compareTools(samples),
    ...tables.flatMap((table) =>
      judgeFill(
        samples.fills.filter((one) => isSame(one, table)),
        table,
      ),
    ),
    ...tables.flatMap((table) =>
      judgeChanges(
        samples.changes.filter((one) => isSame(one, table)),
        table,
      ),
    ),
    ...(samples.tools.length === 0 ? [] : listTools(samples.tools)),
    ...samples.agent.flatMap(judgeAgent),
  ];
}

function isSame(a: Table, b: Table): boolean {
  return a.services === b.services && a.backends === b.backends;
}

function whatOf({ services, backends }: Table): string {
  return `${services} Services x ${backends}`;
}

function line(name: string, table: Table, unit: Unit) {
  const size = { of: 'Services', count: table.services };
  return { section: 'programming', name, what: whatOf(table), size, unit } as const;
}

/** Both get what is prepared: text there, compiled tables here. Beside it, all that we do from API objects on. */
function compareTools({ fills, tools }: ProgrammingSamples): ServiceResult[] {
  const ours = fills.filter((one) => isSame(one, COMPARED));
  const steps: readonly (readonly [string, (fill: FillSample) => number])[] = [
    ['in the kernel', ({ kernel }) => kernel],
    ['compiled to written', ({ written }) => written],
    ['objects to written', ({ converted, compiled, written }) => converted + compiled + written],
  ];
  const peers = [...new Set(tools.map(({ peer }) => peer))].sort();
  return peers.flatMap((peer) =>
    steps.flatMap(([name, timeOf], index): ServiceResult[] => {
      const theirs = tools.filter((one) => one.peer === peer && isSame(one, COMPARED));
      const times: Timed[] = [
        ...ours.map((fill) => ({ peer: 'ours', round: fill.round, time: timeOf(fill) })),
        ...theirs.map(({ round, full }) => ({ peer, round, time: full })),
      ];
      const spread = summarize(pairedRatios(times, { subject: 'ours', reference: peer }));
      const goal = peer === 'iptables-legacy' && index === 0 ? SERVICE_GOALS.programming : undefined;
      const base = { ...line(`from nothing, ${name}, ours / ${peer}`, COMPARED, 'ratio'), path: 'ours', peer };
      return spread ? [{ ...base, spread, ...atLeast(spread, goal) }] : [];
    }),
  );
}

function judgeFill(fills: readonly FillSample[], table: Table): ServiceResult[] {
  const one = (name: string, unit: Unit, of: (fill: FillSample) => number, note?: string): ServiceResult[] => {
    const spread = summarize(fills.map(of));
    return spread ? [{ ...line(name, table, unit), spread, ...(note === undefined ? {} : { note }) }] : [];
  };
  const steps = 'converting and checking, compiling, and writing';
  return [
    ...one('from nothing, objects to written', 'ms', (f) => f.converted + f.compiled + f.written, steps),
    ...one('  converting', 'ms', ({ converted }) => converted),
    ...one('  compiling', 'ms', ({ compiled }) => compiled),
    ...one('  writing', 'ms', ({ written }) => written, 'the kernel included'),
    ...one('  in the kernel', 'ms', ({ kernel }) => kernel, `${fills[0]?.entries ?? 0} entries`),
    ...one('  kernel memory for 100 000 backends', 'MB', perHundredThousand),
  ];
}

function perHundredThousand({ mapBytes, services, backends }: FillSample): number {
  return ((mapBytes / (services * backends)) * 1e5) / 1e6;
}

function judgeChanges(samples: readonly ChangesSample[], table: Table): ServiceResult[] {
  const all = samples.flatMap(({ changes }) => changes);
  if (all.length === 0) return [];
  const { kernel, total } = SERVICE_GOALS.change;
  const inKernel = summarize(all.map((one) => one.kernel)) as Spread;
  const whole = summarize(all.map((one) => one.total)) as Spread;
  const p99 = percentile(all, 0.99);
  return [
    { ...line('one endpoint changes, in the kernel', table, 'us'), spread: inKernel, ...atMost(inKernel, kernel) },
    { ...line('  object to written', table, 'ms'), spread: whole },
    {
      ...line('  object to written, p99', table, 'ms'),
      spread: { median: p99, low: p99, high: p99, count: all.length },
      goal: { kind: 'at-most', value: total },
      met: p99 <= total,
    },
  ];
}

/** Milliseconds that so much of the changes did not exceed. */
export function percentile(changes: readonly ChangeAnswer[], share: number): number {
  const sorted = changes.map(({ total }) => total).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function listTools(tools: readonly ToolSample[]): ServiceResult[] {
  const peers = [...new Map(tools.map((one) => [one.peer, one])).values()];
  return peers.flatMap((table): ServiceResult[] => {
    const runs = tools.filter(({ peer }) => peer === table.peer);
    const full = summarize(runs.map((run) => run.full));
    const change = summarize(runs.map((run) => run.change));
    return [
      ...(full ? [{ ...line(`from nothing, ${table.peer}`, table, 'ms'), path: table.peer, spread: full }] : []),
      ...(change
        ? [{ ...line(`one endpoint changes, ${table.peer}`, table, 'ms'), path: table.peer, spread: change }]
        : []),
    ];
  });
}

function judgeAgent(sample: AgentSample): ServiceResult[] {
  const { full, changes, rssBefore, rssAfter } = sample;
  const one = (value: number): Spread => ({ median: value, low: value, high: value, count: 1 });
  const changed = summarize(changes);
  const waits = 'the agent waits 50 ms for its directory to be quiet, and reads it whole';
  return [
    { ...line('by the agent, file to written', LARGE, 'ms'), spread: one(full), note: waits },
    ...(changed ? [{ ...line('  one endpoint changes', LARGE, 'ms'), spread: changed, note: waits }] : []),
    { ...line('  resident set without Services', LARGE, 'MB'), spread: one(rssBefore / 1e6) },
    { ...line('  resident set with them', LARGE, 'MB'), spread: one(rssAfter / 1e6) },
  ];
}
