// From samples of Services to results: ratios that are paired round by round, and what they were to reach. Pure.

import { atLeast, atMost, pairedRatios, type Timed } from '../ratios.js';
import type { Result } from '../report.js';
import { type Spread, summarize } from '../statistics.js';
import { SERVICE_GOALS, type ServiceSection } from './goals.js';
import type { MaglevSample } from './maglev.js';
import { LOADS, type NodePortPeer, type NodePortSample } from './node-port.js';
import type { ReplacementSample } from './replacement.js';
import { judgeServiceLatency } from './results-latency.js';
import { judgeProgramming } from './results-programming.js';
import type { ServiceResult, ServiceSamples } from './samples.js';
import type { SharedBackendSample } from './shared-backend.js';

/** Every result of the sections, in their order. */
export function judgeServices(samples: ServiceSamples, sections: readonly ServiceSection[]): ServiceResult[] {
  const judges: Readonly<Record<ServiceSection, () => ServiceResult[]>> = {
    maglev: () => judgeMaglev(samples.maglev),
    programs: () => judgePrograms(samples),
    programming: () => (samples.programming ? judgeProgramming(samples.programming) : []),
    latency: () => judgeServiceLatency(samples.latency),
    'shared-backend': () => judgeSharedBackend(samples.sharedBackend),
    replacement: () => judgeReplacement(samples.replacement),
    'node-port': () => judgeNodePort(samples.nodePort),
  };
  return sections.flatMap((section) => judges[section]());
}

function single(value: number): Spread {
  return { median: value, low: value, high: value, count: 1 };
}

function judgeMaglev(samples: readonly MaglevSample[]): ServiceResult[] {
  return samples.flatMap(({ backends, unevenness, disruption, milliseconds }) => {
    const size = { of: 'backends', count: backends };
    const base = { section: 'maglev', what: `${backends} backends`, size } as const;
    return [
      {
        ...base,
        name: 'slots, most / least',
        unit: 'ratio' as const,
        better: 'less' as const,
        spread: single(unevenness),
      },
      {
        ...base,
        name: 'slots of others that move when one goes',
        unit: '%' as const,
        spread: single(disruption * 100),
      },
      { ...base, name: 'filling a table', unit: 'us' as const, spread: single(milliseconds * 1000) },
    ];
  });
}

function judgePrograms({ programs }: ServiceSamples): ServiceResult[] {
  return programs.flatMap(({ name, net }) => {
    const spread = summarize(net);
    if (!spread) return [];
    const goal = name === 'to the pod itself' ? undefined : SERVICE_GOALS.established;
    return [{ section: 'programs', name, what: '1 packet', path: name, unit: 'ns', spread, ...atMost(spread, goal) }];
  });
}

function judgeSharedBackend(samples: readonly SharedBackendSample[]): ServiceResult[] {
  const times = samples.map(({ peer, round, perSecond }): Timed => ({ peer, round, time: 1 / perSecond }));
  const peers = [...new Set(samples.map(({ peer }) => peer))];
  return peers.flatMap((peer): ServiceResult[] => {
    const runs = samples.filter((sample) => sample.peer === peer);
    const ours = peer === 'packet' || peer === 'socket';
    const spread =
      peer === 'direct' ? undefined : summarize(pairedRatios(times, { subject: peer, reference: 'direct' }));
    const base = { section: 'shared-backend', what: '2 Services, 1 backend', path: peer } as const;
    const share = { ...base, name: `connections a second, ${peer} / direct`, peer: 'direct', unit: 'ratio' as const };
    return [
      ...(spread ? [{ ...share, spread }] : []),
      ...judgeFailures(runs, { ...base, name: `  failed or SYN sent again in a run, ${peer}` }, ours),
    ];
  });
}

interface Troubled {
  readonly errors: number;
  readonly synRetransmits: number;
  readonly connections: number;
  readonly error?: string;
}

/** One of many runs is one too many: judged by all of them together. */
function judgeFailures(
  runs: readonly Troubled[],
  base: Pick<ServiceResult, 'section' | 'name' | 'what' | 'path'>,
  judged: boolean,
): ServiceResult[] {
  const trouble = runs.map(({ errors, synRetransmits }) => errors + synRetransmits);
  const spread = summarize(trouble);
  if (!spread) return [];
  const total = trouble.reduce((sum, one) => sum + one, 0);
  const connections = runs.reduce((sum, run) => sum + run.connections, 0);
  const said = runs.find(({ error }) => error !== undefined)?.error;
  const note = `${total} in ${connections} connections${said === undefined ? '' : `: ${said}`}`;
  const value = SERVICE_GOALS.failures;
  const goal = judged ? { goal: { kind: 'at-most', value } as const, met: total <= value } : {};
  return [{ ...base, unit: 'count', spread, ...goal, note }];
}

function judgeReplacement(samples: readonly ReplacementSample[]): ServiceResult[] {
  const paths = [...new Set(samples.map(({ path }) => path))];
  return paths.flatMap((path) => {
    const runs = samples.filter((sample) => sample.path === path);
    const changes = runs.reduce((sum, run) => sum + run.changes, 0);
    const base = { section: 'replacement', what: 'backends change', path } as const;
    const note = `${changes} changes`;
    const p99 = summarize(runs.map((run) => run.p99).filter(Number.isFinite));
    return [
      ...judgeFailures(runs, { ...base, name: `failed or SYN sent again in a run, ${path}` }, true),
      ...(p99 ? [{ ...base, name: `  a new connection, p99, ${path}`, unit: 'us' as const, spread: p99, note }] : []),
    ];
  });
}

function judgeNodePort(samples: readonly NodePortSample[]): ServiceResult[] {
  return LOADS.flatMap((load) => {
    const base = { section: 'node-port', what: `${load}, backend elsewhere` } as const;
    const some = samples.filter((sample) => sample.load === load);
    return [...new Set(some.map(({ peer }) => peer))].flatMap((peer) => [
      ...(isOurs(peer) ? [] : OURS.map((subject) => nodePortRatio(some, { subject, reference: peer }, base))),
      nodePortCost(some, peer, base),
    ]);
  });
}

const OURS = ['ours', 'ours, XDP'] as const;

function isOurs(peer: NodePortPeer): boolean {
  return OURS.some((name) => name === peer);
}

type NodePortBase = { readonly section: 'node-port'; readonly what: string };

function nodePortCost(samples: readonly NodePortSample[], peer: NodePortPeer, base: NodePortBase): ServiceResult {
  const runs = samples.filter((sample) => sample.peer === peer);
  const lost = Math.max(...runs.map((run) => run.lost));
  const error = runs.find((run) => run.error !== undefined)?.error;
  const attached = runs.find((run) => run.attached !== undefined)?.attached;
  const time = summarize(runs.map(({ nanoseconds }) => nanoseconds).filter(Number.isFinite));
  const note = error ?? `${attached ? `${attached}; ` : ''}at most ${(lost * 100).toFixed(2)} % lost in a run`;
  const name = `  a packet, ${peer}, sender and sink included`;
  return { ...base, name, path: peer, unit: 'ns', note, ...(time ? { spread: time } : {}) };
}

interface Compared {
  readonly subject: (typeof OURS)[number];
  readonly reference: NodePortPeer;
}

/** The goal is for XDP on a flow that is there, against iptables. */
function nodePortRatio(samples: readonly NodePortSample[], compared: Compared, base: NodePortBase): ServiceResult {
  const times = samples.map(({ peer, round, nanoseconds }): Timed => ({ peer, round, time: nanoseconds }));
  const spread = summarize(pairedRatios(times, compared));
  const name = `packets a second, ${compared.subject} / ${compared.reference}`;
  const { subject, reference } = compared;
  const line: Result<ServiceSection> = { ...base, name, unit: 'ratio', path: subject, peer: reference };
  if (!spread) return { ...line, note: 'no round has both' };
  return {
    ...line,
    spread,
    ...atLeast(spread, compared.reference === 'nftables' ? undefined : SERVICE_GOALS.nodePort),
  };
}
