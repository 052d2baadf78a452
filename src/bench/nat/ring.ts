// Flows that a program walks through when it runs on its own output: each one's packet leaves as the next one's.
import type { Flow, FlowKey } from '../../datapath/types.gen.js';
import { FLOW_FLAGS } from '../../datapath/types.gen.js';
import { shuffle } from '../statistics.js';

/** Both entries of a flow as the program made them. */
export interface Pair {
  readonly opening: readonly [FlowKey, Flow];
  readonly reply: readonly [FlowKey, Flow];
}

/** What a packet is addressed to, or comes from, at one step. */
export interface Step {
  readonly address: string;
  readonly port: number;
}

export interface Ring {
  /** In the order in which they follow each other. */
  readonly steps: readonly Step[];
  readonly entries: readonly (readonly [FlowKey, Flow])[];
}

export interface RingOptions {
  readonly pair: Pair;
  readonly direction: 'out' | 'in';
  readonly flows: number;
  /** The remote's port, which tells rings apart. */
  readonly remotePort: number;
}

/** Below the ports that a translated packet may come back to. */
const FIRST_PORT = 37_000;
/** Of one ring: so many ports are there from the first on. */
export const RING_FLOWS_MAX = 25_600;

/** An even number of flows, in random order: what lies together in a table does not follow each other. */
export function makeRing({ pair, direction, flows, remotePort }: RingOptions): Ring {
  const ports = shuffle(Array.from({ length: flows }, (_, index) => FIRST_PORT + index));
  const steps = ports.map((port, index): Step => ({ address: addressAt(pair, direction, index), port }));
  const entries = steps.map((step, index) => {
    const next = steps[(index + 1) % flows] as Step;
    return direction === 'out' ? outward(pair, step, { next, remotePort }) : inward(pair, step, { next, remotePort });
  });
  return { steps, entries };
}

/** On the way out the pod's address and the translated one take turns; the way in knows only one that is not a pod's. */
function addressAt({ opening: [key, flow], reply: [replyKey] }: Pair, direction: 'out' | 'in', index: number): string {
  if (direction === 'in') return replyKey.destination;
  return index % 2 === 0 ? key.source : flow.source;
}

interface Onward {
  readonly next: Step;
  readonly remotePort: number;
}

/** Both directions have sent: nothing is learnt from these packets. */
const settled = (flow: Flow): Flow => ({ ...flow, flags: flow.flags | FLOW_FLAGS.FLOW_SEEN_REPLY });

function outward({ opening: [key, flow] }: Pair, step: Step, { next, remotePort }: Onward): readonly [FlowKey, Flow] {
  return [
    { ...key, source: step.address, source_port: step.port, destination_port: remotePort },
    { ...settled(flow), source: next.address, source_port: next.port, destination_port: remotePort },
  ];
}

function inward({ reply: [key, flow] }: Pair, step: Step, { next, remotePort }: Onward): readonly [FlowKey, Flow] {
  return [
    { ...key, source_port: remotePort, destination: step.address, destination_port: step.port },
    { ...settled(flow), source_port: remotePort, destination: next.address, destination_port: next.port },
  ];
}
