// The benchmark of translation: its flows go round, its frames cover them all, and its verdicts follow from samples.
import { expect, test } from 'vitest';
import { strideOf } from '../../src/bench/generator.js';
import { NAT_GOALS, NAT_SECTIONS } from '../../src/bench/nat/goals.js';
import type { NatPacketSample } from '../../src/bench/nat/packets.js';
import { planNatBench } from '../../src/bench/nat/plan.js';
import type { PortReuseSample } from '../../src/bench/nat/port-reuse.js';
import type { DelaySample } from '../../src/bench/nat/removal.js';
import { judgeNat } from '../../src/bench/nat/results.js';
import { makeRing, type Pair } from '../../src/bench/nat/ring.js';
import type { NatSamples } from '../../src/bench/nat/samples.js';
import { allNamespaces } from '../../src/bench/plan.js';
import type { Flow, FlowKey } from '../../src/datapath/types.gen.js';
import { FLOW_FLAGS } from '../../src/datapath/types.gen.js';

const NONE: NatSamples = { programs: [], packets: [], portReuse: [], manyFlows: [], probes: [], journal: [] };

const POD = '10.244.1.2';
const NODE = '198.18.2.1';
const REMOTE = '198.18.2.2';

function aPair(): Pair {
  const flow = { flags: 0, destination: REMOTE, destination_port: 80 } as Flow;
  return {
    opening: [
      { source: POD, destination: REMOTE, source_port: 40_000, destination_port: 80, protocol: 6 },
      { ...flow, source: NODE, source_port: 37_000 },
    ],
    reply: [
      { source: REMOTE, destination: NODE, source_port: 80, destination_port: 37_000, protocol: 6 },
      { ...flow, flags: FLOW_FLAGS.FLOW_REPLY, source: REMOTE, source_port: 80, destination: POD },
    ],
  };
}

const text = ({ source, source_port, destination, destination_port }: FlowKey | Flow): string =>
  `${source}:${source_port} ${destination}:${destination_port}`;

test.each(['out', 'in'] as const)(
  'every packet of a ring leaves as the next one, %s, and all have their turn',
  (direction) => {
    const { entries, steps } = makeRing({ pair: aPair(), direction, flows: 50, remotePort: 9999 });
    const next = new Map(entries.map(([key, flow]) => [text(key), { to: text(flow), flags: flow.flags }]));
    expect(next.size).toBe(50);
    const met = new Set<string>();
    let at = text(entries[0]?.[0] as FlowKey);
    for (let turn = 0; turn < 50; turn++) {
      met.add(at);
      expect((next.get(at)?.flags ?? 0) & FLOW_FLAGS.FLOW_SEEN_REPLY).not.toBe(0);
      at = next.get(at)?.to ?? '';
    }
    expect([met.size, at]).toEqual([50, text(entries[0]?.[0] as FlowKey)]);
    expect(new Set(steps.map(({ address }) => address))).toEqual(new Set(direction === 'out' ? [POD, NODE] : [NODE]));
  },
);

test.each([1, 2, 1024, 51_200, 16_384, 5_120_000])('the stride through %d flows leaves none out', (flows) => {
  const stride = strideOf(flows);
  expect(stride).toBeGreaterThan(0);
  let [a, b] = [flows, stride];
  while (b !== 0) [a, b] = [b, a % b];
  expect(a).toBe(1);
});

test('namespaces have names of their own, short enough for a device', () => {
  const names = allNamespaces(planNatBench());
  expect(new Set(names).size).toBe(names.length);
  expect(names.every((name) => name.startsWith('ist-bench-'))).toBe(true);
});

test('every section has something to say, also about nothing, and judges nothing then', () => {
  const results = judgeNat(NONE, NAT_SECTIONS);
  const silent = NAT_SECTIONS.filter((name) => name !== 'probes' && results.every(({ section }) => section !== name));
  expect(silent).toEqual([]);
  expect(results.every(({ met, spread }) => met === undefined && spread === undefined)).toBe(true);
});

test('a translated packet is judged by what it costs above an untranslated one of the same round', () => {
  const sample = (node: 'flat' | 'island', round: number, nanoseconds: number) =>
    ({ node, family: 'ipv4', direction: 'out', flows: node === 'flat' ? 1 : 2, round, nanoseconds }) as const;
  const programs = [sample('flat', 1, 100), sample('island', 1, 119), sample('flat', 2, 50), sample('island', 2, 75)];
  const [result] = judgeNat({ ...NONE, programs }, ['programs']);
  expect(result).toMatchObject({ what: 'ipv4, in the cache', spread: { median: 22, count: 2 }, met: false });
});

test('packets: cost against flat at most, speed against masquerade at least', () => {
  const sample = (peer: NatPacketSample['peer'], nanoseconds: number, lost = 0): NatPacketSample => {
    return { peer, kind: '50 k flows', round: 1, nanoseconds, lost };
  };
  const packets = [sample('flat', 500), sample('island', 590, 0.01), sample('masquerade', 1180)];
  const results = judgeNat({ ...NONE, packets }, ['packets']).filter(({ what }) => what === '50 k flows');
  expect(results[0]).toMatchObject({ spread: { median: 1.18 }, met: true, note: expect.stringContaining('1.00 %') });
  expect(results[1]).toMatchObject({ spread: { median: 2 }, goal: { value: 2.05 }, met: false });
});

test('one SYN that was sent again in any run misses the goal, and the mean is of whole runs', () => {
  const sample = (peer: PortReuseSample['peer'], round: number, perSecond: number, synRetransmits = 0) => {
    const rest = { pods: 1, timestamps: 'on', connections: 100, p99: 1, errors: 0 } as const;
    return { ...rest, peer, round, perSecond, synRetransmits };
  };
  const portReuse = [1, 2, 3].flatMap((round) => [
    sample('flat', round, 1000),
    sample('island', round, 980, round === 3 ? 1 : 0),
    sample('masquerade', round, 70, 20),
  ]);
  const results = judgeNat({ ...NONE, portReuse }, ['port-reuse']);
  const of = (name: string) => results.find((one) => one.name.includes(name) && one.what === '1 pod, timestamps on');
  expect(of('second, island')).toMatchObject({ spread: { median: 0.98 }, met: true });
  expect(of('again in a run, island')).toMatchObject({
    spread: { median: 0 },
    met: false,
    note: '1 in 300 connections',
  });
  expect(of('again in a run, masquerade')?.met).toBeUndefined();
});

test('a delay is what a walk adds in its round; a run without a walk says nothing', () => {
  const sample = (disturbance: DelaySample['disturbance'], round: number, max: number, walked = 1): DelaySample => {
    return { disturbance, round, max, walked, p50: 40, p999: 50, count: 4000, errors: 0 };
  };
  const delays = [sample('none', 1, 100, 0), sample('same CPU', 1, 1050), sample('timer', 1, 90_000, 0)];
  const walks = [
    { round: 1, walked: 1000, removed: 0, nanoseconds: 110_000 },
    { round: 1, walked: 1000, removed: 100, nanoseconds: 130_000 },
  ];
  const results = judgeNat({ ...NONE, removal: { flows: 500, walks, delays } }, ['removal']);
  const met = new Map(results.map((result) => [result.name, result]));
  expect(met.get('an entry of a walk, none is dead')).toMatchObject({ spread: { median: 110 }, met: true });
  expect(met.get('an entry of a walk, one in ten is dead')).toMatchObject({ spread: { median: 130 }, met: false });
  const added = results.find(({ name }) => name.includes('agent, CPU of the packets') && name.includes('a walk for'));
  expect(added).toMatchObject({ spread: { median: 950 }, met: true, goal: { value: NAT_GOALS.delay } });
  expect(results.find(({ name }) => name.includes("kernel's own"))).toMatchObject({
    note: expect.stringContaining('no walk'),
  });
});

test('looks for a port are told by the upper end of their bucket', () => {
  const probes = [{ fill: 0.97, live: 248, trials: 100, refused: 1, buckets: [50, 20, 20, 9, 0] }];
  const [looks, refused] = judgeNat({ ...NONE, probes }, ['probes']);
  expect(looks).toMatchObject({ spread: { median: 1, low: 1, high: 4 }, note: expect.stringContaining('up to 8') });
  expect(refused).toMatchObject({ met: false });
});
