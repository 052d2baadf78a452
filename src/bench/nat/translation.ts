// Inside a node's namespace: what a packet costs the programs by the size of the table, and how ports are found.
import { setTimeout as pause } from 'node:timers/promises';
import type { NativeProgram } from '../../bpf/native.js';
import { FLOW_FLAGS } from '../../datapath/types.gen.js';
import type { FrameOptions } from '../frame.js';
import { buildFrame } from '../frame.js';
import type { Datapath, NodeView } from '../loaded.js';
import { contextOf, durationOf, loadDatapath, REPEAT, requireRedirect } from '../loaded.js';
import type { Arrival } from '../program-cost.js';
import { type ProbesAnswer, type ProbesQuestion, searchPorts } from './port-search.js';
import { makeRing, type Pair, RING_FLOWS_MAX, type Ring } from './ring.js';

/** Packets of so many flows in one direction. */
export interface WayCase {
  readonly name: string;
  readonly direction: 'out' | 'in';
  readonly arrival: Arrival;
  /** What a pod sends to open a flow, where packets are translated; the ports of `arrival` do not matter then. */
  readonly opening?: Arrival;
  readonly flows: number;
}

export type TranslationQuestion =
  | { readonly open: NodeView; readonly cases: readonly WayCase[] }
  | { readonly measure: string }
  | { readonly probes: ProbesQuestion };

/** The packets of a case, each the first of one call. */
interface Way {
  readonly program: NativeProgram;
  readonly context: Buffer;
  readonly frames: readonly Buffer[];
  readonly flows: number;
}

const CALLS = 100;
const PROGRAMS = { out: 'from_container', in: 'from_netdev' } as const;
/** A flow's first packet in a second costs more: all are seen before, and measured within, the same one. */
const LATEST_MS = 600;
const FIRST_REMOTE_PORT = 10_000;

let datapath: Datapath | undefined;
const ways = new Map<string, Way>();
let remotePort = FIRST_REMOTE_PORT;

/** Nanoseconds of one run for `measure`. */
export async function serve(question: TranslationQuestion): Promise<number | ProbesAnswer[]> {
  if ('open' in question) return open(question.open, question.cases);
  if (datapath === undefined) throw new Error('no programs were loaded');
  if ('probes' in question) return searchPorts(datapath, question.probes);
  const way = ways.get(question.measure);
  if (way === undefined) throw new Error(`there is no case '${question.measure}'`);
  return measure(way);
}

async function open(view: NodeView, cases: readonly WayCase[]): Promise<number> {
  datapath = await loadDatapath(view);
  for (const one of cases) ways.set(one.name, prepare(datapath, one));
  return ways.size;
}

function prepare(loaded: Datapath, one: WayCase): Way {
  const name = PROGRAMS[one.direction];
  const program = loaded.program(name);
  const context = contextOf(one.arrival.ifindex);
  const frames = one.opening === undefined ? [frameOf(one.arrival.packet)] : ringFrames(loaded, one, one.opening);
  for (const data of frames.slice(0, 3))
    requireRedirect(one.name, name, program.testRun({ data, context, repeat: REPEAT }).retval);
  return { program, context, frames, flows: one.flows };
}

/** Puts the flows into the table. A packet to begin with for each call, so that one pass meets every flow. */
function ringFrames(loaded: Datapath, one: WayCase, opening: Arrival): Buffer[] {
  const pair = openPair(loaded, one.name, opening);
  using flows = loaded.map('flows');
  const frames: Buffer[] = [];
  for (let left = one.flows; left > 0; left -= RING_FLOWS_MAX) {
    const options = { pair, direction: one.direction, flows: Math.min(left, RING_FLOWS_MAX), remotePort };
    const ring = makeRing(options);
    flows.setMany(ring.entries);
    frames.push(...startsOf(ring, one, remotePort++));
  }
  return frames;
}

function startsOf({ steps }: Ring, { direction, arrival }: WayCase, port: number): Buffer[] {
  return steps
    .filter((_, index) => index % REPEAT === 0)
    .map((step) => {
      const { packet } = arrival;
      const remote = { address: direction === 'out' ? packet.destination.address : packet.source.address, port };
      const tuple = direction === 'out' ? { source: step, destination: remote } : { source: remote, destination: step };
      return frameOf({ ...packet, ...tuple });
    });
}

function frameOf(packet: Omit<FrameOptions, 'kind'>): Buffer {
  return buildFrame({ ...packet, kind: 'ack' });
}

/** Has the program make a flow, takes it out of the table again and gives it as a pattern. */
function openPair(loaded: Datapath, name: string, { packet, ifindex }: Arrival): Pair {
  using flows = loaded.map('flows');
  const data = buildFrame({ ...packet, kind: 'syn' });
  requireRedirect(
    name,
    'from_container',
    loaded.program('from_container').testRun({ data, context: contextOf(ifindex) }).retval,
  );
  const port = packet.destination.port;
  const made = [...flows.scan()].filter(([key]) => key.destination_port === port || key.source_port === port);
  const opening = made.find(([, { flags }]) => (flags & FLOW_FLAGS.FLOW_REPLY) === 0);
  const reply = made.find(([, { flags }]) => (flags & FLOW_FLAGS.FLOW_REPLY) !== 0);
  if (!opening || !reply) throw new Error(`${name}: from_container made ${made.length} entries and no pair`);
  flows.deleteMany([opening[0], reply[0]]);
  return { opening, reply };
}

/** The kernel reports whole nanoseconds a call: the mean of many calls has the fraction. */
async function measure(way: Way): Promise<number> {
  const { program, context, frames } = way;
  const pass = (calls: number): number => {
    let sum = 0;
    for (let call = 0; call < calls; call++)
      sum += durationOf(program, frames[call % frames.length] as Buffer, context);
    return sum / calls;
  };
  const late = Number((process.hrtime.bigint() / 1_000_000n) % 1000n) - LATEST_MS;
  if (late > 0) await pause(1000 - LATEST_MS - late + 10);
  pass(frames.length);
  return pass(Math.max(CALLS, frames.length));
}
