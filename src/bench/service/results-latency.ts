// From times of requests and connections through Services to results. Pure.
import { TESTS, type Test } from '../clients.js';
import { atLeast, isItself, pairedRatios, type Timed } from '../ratios.js';
import type { PathTime } from '../report.js';
import { summarize } from '../statistics.js';
import { summarizeRuns } from '../times.js';
import { SERVICE_GOALS } from './goals.js';
import type { ServiceLatencySample, ServicePeer } from './latency.js';
import type { ServiceResult } from './samples.js';

const OURS: readonly ServicePeer[] = ['socket', 'packet'];

type Key = { readonly test: Test; readonly services: number };

/** Self-checks, ours against the pod itself and netfilter, and how flat we are. */
export function judgeServiceLatency(samples: readonly ServiceLatencySample[]): ServiceResult[] {
  const sizes = [...new Set(samples.map(({ services }) => services))].sort((a, b) => a - b);
  const keys = TESTS.flatMap((test) => sizes.map((services): Key => ({ test, services })));
  return [
    ...keys.flatMap((key) => selfCheck(samples, key)),
    ...keys.flatMap((key) => judgeSize(samples, key)),
    ...OURS.flatMap((peer) =>
      keys.filter(({ services }) => services !== sizes[0]).flatMap((key) => judgeFlat(samples, peer, key)),
    ),
    ...keys.filter(({ test }) => test === 'crr').flatMap((key) => judgeFirst(samples, key)),
  ];
}

function timesOf(samples: readonly ServiceLatencySample[], { test, services }: Key): Timed[] {
  return samples
    .filter((sample) => sample.test === test && sample.services === services)
    .map(({ peer, round, p50 }) => ({ peer, round, time: p50 }));
}

function aboutOf({ test, services }: Key) {
  return { what: `${test}, ${services} Services`, size: { of: 'Services', count: services } };
}

function selfCheck(samples: readonly ServiceLatencySample[], key: Key): ServiceResult[] {
  const spread = summarize(pairedRatios(timesOf(samples, key), { subject: 'direct-again', reference: 'direct' }));
  if (!spread) return [];
  const name = 'the pod itself / the same again';
  return [
    {
      section: 'self-check',
      name,
      ...aboutOf(key),
      unit: 'ratio',
      spread,
      goal: { kind: 'one', value: 1 },
      met: isItself(spread),
    },
  ];
}

function judgeSize(samples: readonly ServiceLatencySample[], key: Key): ServiceResult[] {
  const times = timesOf(samples, key);
  const here = new Set(times.map(({ peer }) => peer));
  const ours = OURS.filter((peer) => here.has(peer));
  const others = [...here].filter((peer) => !peer.startsWith('direct') && !ours.some((one) => one === peer)).sort();
  return ours.flatMap((subject) =>
    ['direct', ...(subject === 'socket' && here.has('direct-hooked') ? ['direct-hooked'] : []), ...others].map(
      (reference): ServiceResult => {
        const spread = summarize(pairedRatios(times, { subject, reference }));
        const line = {
          section: 'latency',
          name: `${subject} / ${reference}`,
          path: subject,
          peer: reference,
          ...aboutOf(key),
          unit: 'ratio',
        } as const;
        if (!spread) return { ...line, note: reasonOf(samples, key, [subject, reference]) };
        return { ...line, spread, ...atLeast(spread, goalOf(subject, reference, key)) };
      },
    ),
  );
}

/** New connections alone have goals; those against netfilter are for packets, and sockets are faster yet. */
function goalOf(subject: ServicePeer, reference: string, { test, services }: Key): number | undefined {
  if (test !== 'crr') return undefined;
  if (reference === 'direct') return subject === 'socket' ? SERVICE_GOALS.direct.socket : SERVICE_GOALS.direct.packet;
  if (subject !== 'packet') return undefined;
  if (reference === 'nftables') return SERVICE_GOALS.nftables;
  const bySize: Readonly<Record<number, number>> =
    reference === 'iptables-legacy' ? SERVICE_GOALS['iptables-legacy'] : SERVICE_GOALS['iptables-nft'];
  return bySize[services];
}

function reasonOf(samples: readonly ServiceLatencySample[], { test, services }: Key, peers: readonly string[]): string {
  const failed = samples.find(
    (one) => one.test === test && one.services === services && peers.includes(one.peer) && one.error !== undefined,
  );
  return failed === undefined ? 'no round has both' : `${failed.peer}: ${failed.error}`;
}

/** The ratio to the pod itself, against that of the smallest table: whatever the machine did meanwhile is in both. */
function judgeFlat(samples: readonly ServiceLatencySample[], peer: ServicePeer, key: Key): ServiceResult[] {
  const smallest = Math.min(...samples.map(({ services }) => services));
  const ratios = (services: number) =>
    pairedRatios(timesOf(samples, { test: key.test, services }), { subject: peer, reference: 'direct' });
  const base = summarize(ratios(smallest));
  const spread = base && summarize(ratios(key.services).map((ratio) => ratio / base.median));
  if (!spread) return [];
  const met = Math.abs(spread.median - 1) <= SERVICE_GOALS.flat;
  const name = `${peer} / the same with ${smallest} Services`;
  const goal = { kind: 'one', value: 1 } as const;
  return [{ section: 'latency', name, path: peer, ...aboutOf(key), unit: 'ratio', spread, goal, met }];
}

/** What a connection costs more than one to the pod itself. */
function judgeFirst(samples: readonly ServiceLatencySample[], key: Key): ServiceResult[] {
  const times = timesOf(samples, key);
  const direct = new Map(times.filter(({ peer }) => peer === 'direct').map(({ round, time }) => [round, time]));
  const peers = [...new Set(times.map(({ peer }) => peer))].filter((peer) => OURS.some((one) => one === peer));
  return peers.flatMap((peer): ServiceResult[] => {
    const more = times
      .filter((one) => one.peer === peer)
      .map(({ round, time }) => time - (direct.get(round) ?? Number.NaN))
      .filter(Number.isFinite);
    const spread = summarize(more);
    const name = `a connection above the pod itself, ${peer}`;
    return spread ? [{ section: 'latency', name, path: peer, ...aboutOf(key), unit: 'us', spread }] : [];
  });
}

/** How long transactions take on every path, by test and the number of Services. */
export function serviceTimes(samples: readonly ServiceLatencySample[]): PathTime[] {
  const groups = Map.groupBy(
    samples.filter(({ peer }) => peer !== 'direct-again'),
    ({ peer, test, services }) => `${test} ${String(services).padStart(9)} ${peer}`,
  );
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, runs]) => {
      const [first] = runs;
      if (!first) return [];
      const { peer, test, services } = first;
      return summarizeRuns({ path: peer, test, size: { of: 'Services', count: services } }, runs) ?? [];
    });
}
