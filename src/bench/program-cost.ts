// Inside a node's namespace: what the datapath's programs cost, by running them in place without sending anything.

import type { NativeProgram } from '../bpf/native.js';
import type { Flow, FlowKey } from '../datapath/types.gen.js';
import { FLOW_FLAGS } from '../datapath/types.gen.js';
import type { FrameOptions } from './frame.js';
import { buildFrame } from './frame.js';
import type { Datapath, NodeView } from './loaded.js';
import { contextOf, durationOf, loadDatapath, REPEAT, requireRedirect } from './loaded.js';
import { loadPrograms } from './programs.js';

/** A packet and the device where it arrives. */
export interface Arrival {
  readonly ifindex: number;
  readonly packet: Omit<FrameOptions, 'kind'>;
}

export interface CostCase {
  readonly name: string;
  readonly program: 'from_container' | 'from_netdev';
  readonly arrival: Arrival;
  /**
   * What a pod sends to open the flow that the packet belongs to, where it is translated. A packet from the wire is
   * then addressed to whatever port the flow got.
   */
  readonly opening?: Arrival;
  /** A packet of the other direction, as the backend of a Service sends it. */
  readonly isAnswer?: boolean;
}

export interface CostQuestion extends NodeView {
  readonly cases: readonly CostCase[];
  readonly batches: number;
}

export interface CostAnswer {
  readonly name: string;
  /** One a batch: nanoseconds of a run above an empty program's. */
  readonly net: readonly number[];
  /** Nanoseconds of an empty program's run, one a batch. */
  readonly empty: readonly number[];
}

const CALLS = 100;

export async function serve(question: CostQuestion): Promise<CostAnswer[]> {
  using datapath = await loadDatapath(question);
  using bench = await loadPrograms({});
  const empty = bench.program('empty');
  return question.cases.map((one) => measureCase(datapath, one, { empty, batches: question.batches }));
}

/** A batch of an empty program's runs before each batch of the path's. Throws for a packet that does not get on. */
export function measureCase(
  datapath: Datapath,
  one: CostCase,
  { empty, batches }: { empty: NativeProgram; batches: number },
): CostAnswer {
  const translated = one.opening ? openFlow(datapath, one, one.opening) : undefined;
  const answered = one.program === 'from_netdev' || one.isAnswer ? translated : undefined;
  const program = datapath.program(one.program);
  const data = buildFrame({ ...one.arrival.packet, ...answered, kind: 'ack' });
  const context = contextOf(one.arrival.ifindex);
  for (const repeat of [1, 2, REPEAT])
    requireRedirect(one.name, one.program, program.testRun({ data, context, repeat }).retval);
  const answer = { name: one.name, net: [] as number[], empty: [] as number[] };
  for (let batch = 0; batch < batches; batch++) {
    const base = meanOf(empty, data, context);
    answer.empty.push(base);
    answer.net.push(meanOf(program, data, context) - base);
  }
  return answer;
}

/** The mean of many calls has the fraction. */
function meanOf(program: NativeProgram, data: Buffer, context: Buffer): number {
  let sum = 0;
  for (let call = 0; call < CALLS; call++) sum += durationOf(program, data, context);
  return sum / CALLS;
}

type Tuple = Pick<FrameOptions, 'source' | 'destination'>;

/**
 * Has the program make the flow, and gives what it made a mirror image. A program that runs again sees its own
 * output: the mirror image turns it back, by the same steps, so that every run is a translation.
 * Returns what answers are addressed to.
 */
function openFlow(datapath: Datapath, one: CostCase, opening: Arrival): Tuple {
  using flows = datapath.map('flows');
  for (const [key] of [...flows.scan()]) flows.delete(key);
  const data = buildFrame({ ...opening.packet, kind: 'syn' });
  const { retval } = datapath.program('from_container').testRun({ data, context: contextOf(opening.ifindex) });
  requireRedirect(one.name, 'from_container', retval);
  const made = [...flows.scan()];
  for (const [key, flow] of made.flatMap(([key, flow]) => mirrors(key, flow))) flows.set(key, flow);
  const answer = made.find(([, { flags }]) => flags & FLOW_FLAGS.FLOW_REPLY)?.[0];
  if (!answer) throw new Error(`${one.name}: from_container made no flow for answers, only ${made.length} entries`);
  return {
    source: { address: answer.source, port: answer.source_port },
    destination: { address: answer.destination, port: answer.destination_port },
  };
}

/**
 * The way out changes the source, the way in the destination, a Service both. A destination that changes becomes a
 * second port in place of the pod, because packets to a pod are not looked up among flows.
 */
function mirrors(key: FlowKey, flow: Flow): (readonly [FlowKey, Flow])[] {
  const { source, source_port, destination, destination_port } = key;
  const moved = destination !== flow.destination || destination_port !== flow.destination_port;
  const twin = { destination, destination_port: moved ? destination_port ^ 1 : destination_port };
  const translated = { ...key, ...twin, source: flow.source, source_port: flow.source_port };
  return [
    [key, { ...flow, ...twin }],
    [translated, { ...flow, source, source_port, destination, destination_port }],
  ];
}
