// Which charts a report has. What was not measured has none.
import { fitLine } from '../fit.js';
import type { AnyResult, Benchmark, BenchReport, PathTime, Unit } from '../report.js';
import { barsSpec } from './bars.js';
import { type Panel, percentilesSpec, type SizedPoint, sizesSpec } from './curves.js';
import { labelResults } from './labels.js';

export interface Chart {
  /** Tells it from others of its benchmark, in file names too. */
  readonly id: string;
  readonly title: string;
  /** What to know of it, a sentence or two. */
  readonly caption: string;
  /** For Vega-Lite. */
  readonly spec: object;
}

type Plan = (report: BenchReport) => Chart | undefined;

interface Bars extends Omit<Chart, 'spec'> {
  readonly unit: Unit;
  readonly sections: readonly string[];
  /** All of the sections when absent. */
  readonly only?: (result: AnyResult) => boolean;
}

interface Sizes extends Omit<Chart, 'spec'> {
  /** Of the vertical axis. */
  readonly values: string;
  readonly of: string;
  readonly log?: boolean;
  /** Whether a straight line says something; true when absent. */
  readonly fit?: boolean;
  readonly points: (report: BenchReport) => readonly SizedPoint[];
}

const RR = 'request and response on one connection (rr)';
const CRR = 'connect, request, response, close (crr)';
const FIRST = 'the first datagram of a flow and its answer (udp_first)';
const PANELS: readonly Panel[] = [
  { title: 'same node', paths: ['raw', 'bare-same', 'same-node', 'bridge-same'] },
  { title: 'other node', paths: ['host-host', 'bare-cross', 'cross-node', 'bridge-cross'] },
  { title: 'to outside', paths: ['flat', 'island', 'routed', 'masquerade', 'bridge-out'] },
];

const PLANS: Readonly<Record<Benchmark, readonly Plan[]>> = {
  paths: [
    bars({
      id: 'limits',
      title: 'Against the physical limit',
      caption:
        'Pods beside a bare veth pair, on one node and on two; and the smallest programs that can hand packets over, ' +
        'which no datapath of programs is faster than.',
      unit: 'ratio',
      sections: ['same-node', 'cross-node'],
    }),
    bars({
      id: 'translation',
      title: 'Island against flat, and both against the kernel',
      caption:
        'From a pod to a host outside: translated by us, not translated, routed by the kernel, masqueraded by it. udp_rr are ' +
        'datagrams there and back.',
      unit: 'ratio',
      sections: ['island', 'masquerade'],
    }),
    bars({
      id: 'bridge',
      title: 'Against pods behind a bridge',
      caption:
        'Beside the CNI project’s bridge, host-local and portmap: one node, two nodes, and masqueraded to outside.',
      unit: 'ratio',
      sections: ['bridge'],
    }),
    bars({
      id: 'first-packet',
      title: 'The first packet of a flow, there and back',
      caption: 'A datagram from a new port, and its answer: nobody on the way knows the flow yet.',
      unit: 'ratio',
      sections: ['first-packet'],
    }),
    bars({
      id: 'parallel',
      title: 'Many connections at once',
      caption: 'Transactions, or bytes, a second of all connections together. They share one CPU.',
      unit: 'ratio',
      sections: ['parallel'],
    }),
    bars({
      id: 'stream',
      title: 'Bytes of a TCP stream',
      caption: 'Ratios of bytes a second on one CPU; names that end in -9000 have that MTU.',
      unit: 'ratio',
      sections: ['stream'],
    }),
    bars({
      id: 'stream-rates',
      title: 'Bytes of a TCP stream, by path',
      caption: 'Payload that the server’s kernel acknowledged, sender and receiver on one CPU. More is better.',
      unit: 'Gb/s',
      sections: ['stream'],
    }),
    bars({
      id: 'ipv6',
      title: 'By IPv6',
      caption: 'The same against its own limit, island against flat, and IPv6 against IPv4.',
      unit: 'ratio',
      sections: ['ipv6'],
    }),
    bars({
      id: 'packets',
      title: 'Packets a second on one CPU',
      caption: 'Small packets, sender and sink included.',
      unit: 'ratio',
      sections: ['packets'],
    }),
    bars({
      id: 'packet-times',
      title: 'CPU time of a packet',
      caption: 'On one saturated CPU, sender and sink included. Less is better.',
      unit: 'ns',
      sections: ['packets'],
    }),
    bars({
      id: 'new-flows',
      title: 'Packets a second that each open a flow',
      caption: 'TCP SYNs on one CPU, sender and sink included; tables are empty at the beginning of a run.',
      unit: 'ratio',
      sections: ['new-flows'],
    }),
    bars({
      id: 'programs',
      title: 'What the programs take',
      caption: 'A packet of an established flow above an empty program, run in place. Less is better.',
      unit: 'ns',
      sections: ['programs'],
    }),
    percentiles('rr', RR),
    percentiles('crr', CRR),
    percentiles('udp_first', FIRST),
  ],
  nat: [
    bars({
      id: 'cost',
      title: 'What a packet costs, island against flat',
      caption:
        'Small packets on one CPU, sender and sink included. 1 is the cost of an untranslated one; less is better.',
      unit: 'ratio',
      sections: ['packets', 'new-flows'],
      only: ({ better }) => better === 'less',
    }),
    bars({
      id: 'packets',
      title: 'Packets and new flows a second, island against masquerade',
      caption: 'Small packets on one CPU, sender and sink included.',
      unit: 'ratio',
      sections: ['packets', 'new-flows'],
      only: ({ better }) => better !== 'less',
    }),
    bars({
      id: 'port-reuse',
      title: 'One server port, from 1, 2 and 8 pods behind one address',
      caption:
        'The server closes first and remembers every connection. A share of what the same pods reach untranslated: ' +
        'the mean, so that stalls count.',
      unit: 'ratio',
      sections: ['port-reuse'],
    }),
    bars({
      id: 'programs',
      title: 'What translation adds to a packet',
      caption: 'Nanoseconds of the programs above those for an untranslated packet. Less is better.',
      unit: 'ns',
      sections: ['programs'],
    }),
    sizes({
      id: 'programs-by-flows',
      title: 'What translation adds to a packet, by the number of flows',
      caption:
        'Packets of flows in random order: larger tables are in slower caches. The horizontal axis is logarithmic.',
      values: 'nanoseconds',
      of: 'flows',
      fit: false,
      points: ({ results }) => results.flatMap(programPoint),
    }),
    bars({
      id: 'removal',
      title: 'What the removal of dead flows adds to a packet’s delay',
      caption: 'Longest delay of a round. Less is better.',
      unit: 'us',
      sections: ['removal'],
    }),
  ],
  service: [
    timesBySize('crr', CRR),
    timesBySize('rr', RR),
    bars({
      id: 'direct',
      title: 'A new connection through a Service, against the pod itself',
      caption: 'At every number of Services. 1 is as fast as without a Service.',
      unit: 'ratio',
      sections: ['latency'],
      only: ({ peer, what }) => peer === 'direct' && what.startsWith('crr'),
    }),
    bars({
      id: 'netfilter',
      title: 'A new connection through a Service, against kube-proxy’s rules',
      caption: 'How many times as fast a packet’s way is as the rules of each of the tools.',
      unit: 'ratio',
      sections: ['latency'],
      only: ({ path, peer = '', what }) => path === 'packet' && what.startsWith('crr') && /^(ip|nf)tables/.test(peer),
    }),
    bars({
      id: 'programs',
      title: 'What the programs take',
      caption: 'A packet of an established flow above an empty program, run in place. Less is better.',
      unit: 'ns',
      sections: ['programs'],
    }),
    bars({
      id: 'node-port',
      title: 'Node ports',
      caption: 'In and out by the same wire, forwarded to another node.',
      unit: 'ratio',
      sections: ['node-port'],
    }),
    bars({
      id: 'programming',
      title: 'Writing all Services from nothing',
      caption: 'How many times as fast as the tools. Prepared input on both sides where it says “in the kernel”.',
      unit: 'ratio',
      sections: ['programming'],
    }),
    sizes({
      id: 'filling',
      title: 'Writing all Services, by their number',
      caption:
        'Ours from API objects to the last write; tools from text that is made already. Both axes are logarithmic.',
      values: 'milliseconds',
      of: 'Services',
      log: true,
      points: ({ results }) => results.flatMap(fillPoint),
    }),
    bars({
      id: 'shared-backend',
      title: 'Two Services with one backend, asked at once',
      caption: 'Connections a second, as a share of two clients of the pod itself.',
      unit: 'ratio',
      sections: ['shared-backend'],
    }),
  ],
  cni: [
    bars({
      id: 'ratios',
      title: 'A pod waits for its network, beside bridge and host-local',
      caption: 'From the start of the plugin to its end, the half of a round: one request at a time, and 20 at once.',
      unit: 'ratio',
      sections: ['alone', 'together'],
    }),
    bars({
      id: 'times',
      title: 'How long our plugin takes',
      caption:
        'Most of it is the kernel, which attaches programs and removes devices one after the other. Less is better.',
      unit: 'ms',
      sections: ['alone', 'together'],
    }),
  ],
};

/** In their order. */
export function listCharts(report: BenchReport): Chart[] {
  return PLANS[report.benchmark].flatMap((plan) => plan(report) ?? []);
}

function bars({ unit, sections, only = () => true, ...about }: Bars): Plan {
  return ({ results }) => {
    const shown = results.filter(
      (one) => sections.includes(one.section) && one.unit === unit && one.spread !== undefined && only(one),
    );
    if (shown.length === 0) return undefined;
    const { common } = labelResults(shown);
    const title = common === '' ? about.title : `${about.title} (${common})`;
    return { ...about, title, spec: barsSpec(shown, unit) };
  };
}

function percentiles(test: PathTime['test'], what: string): Plan {
  return ({ times }) => {
    const some = times.filter((time) => time.test === test && time.size === undefined);
    const panels = PANELS.filter(({ paths }) => some.some(({ path }) => paths.includes(path)));
    const drawn = some.filter(({ path }) => panels.some(({ paths }) => paths.includes(path)));
    if (panels.length === 0) return undefined;
    return {
      id: `percentiles-${test}`,
      title: `How long: ${what}`,
      caption:
        'Percentiles of a run, medians over the rounds with their quartiles; the diamond is the mean, which shows stalls ' +
        'that p50 hides. The axis is logarithmic.',
      spec: percentilesSpec(drawn, panels),
    };
  };
}

function timesBySize(test: PathTime['test'], what: string): Plan {
  return sizes({
    id: `times-${test}`,
    title: `By the number of Services: ${what}`,
    caption: 'p50 of a run, median and quartiles of the rounds. The horizontal axis is logarithmic, so fits are bent.',
    values: 'microseconds',
    of: 'Services',
    points: ({ times }) =>
      times.flatMap(({ path, size, p50, ...time }) =>
        time.test === test && size?.of === 'Services' ? [{ path, size: size.count, spread: p50 }] : [],
      ),
  });
}

function sizes({ values, of, points, log = false, fit = !log, ...about }: Sizes): Plan {
  return (report) => {
    const some = points(report);
    if (new Set(some.map(({ size }) => size)).size < 2) return undefined;
    const spec = sizesSpec(some, { sizes: of, values, log, fit });
    return { ...about, caption: fit ? `${about.caption} ${describeFits(some, of)}`.trim() : about.caption, spec };
  };
}

/** What a thousand more of the size cost each path: the median of the slopes between its sizes, and their quartiles. */
function describeFits(points: readonly SizedPoint[], of: string): string {
  const fits = [...Map.groupBy(points, ({ path }) => path)].flatMap(([path, some]) => {
    const fit = fitLine(some.map(({ size, spread }) => ({ size, value: spread.median })));
    if (fit === undefined) return [];
    const [median, low, high] = [fit.slope.median, fit.slope.low, fit.slope.high].map(perThousand);
    return [`${path} ${median} µs (${low} to ${high})`];
  });
  return fits.length === 0 ? '' : `Dashed lines fit it; for each 1000 ${of} more: ${fits.join(', ')}.`;
}

/** Without a zero that is less than nothing. */
function perThousand(slope: number): string {
  return (Math.round(slope * 1e5) / 100 + 0).toFixed(2);
}

/** One family: the entries of both are alike. */
function programPoint({ section, name, what, size, spread }: AnyResult): SizedPoint[] {
  if (section !== 'programs' || size?.of !== 'flows' || spread === undefined || !what.startsWith('ipv4')) return [];
  return [{ path: name.replace(/^.*, /, ''), size: size.count, spread }];
}

function fillPoint({ section, name, size, spread, unit }: AnyResult): SizedPoint[] {
  if (section !== 'programming' || size === undefined || spread === undefined || unit !== 'ms') return [];
  const path = /^from nothing, (.*)$/.exec(name)?.[1];
  if (path === undefined) return [];
  return [{ path: path === 'objects to written' ? 'ours' : path, size: size.count, spread }];
}
