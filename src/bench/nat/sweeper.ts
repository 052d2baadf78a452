// Inside a node's namespace: fills the node's own flow table, and has dead flows removed as the agent does.
import type { KernelMap } from '../../bpf/map.js';
import type { Flow, FlowKey } from '../../datapath/types.gen.js';
import { FLOW_FLAGS } from '../../datapath/types.gen.js';
import { addressAt } from '../../model/address.js';
import { type Datapath, loadDatapath, type NodeView } from '../loaded.js';

export type SweeperQuestion =
  | { readonly open: NodeView }
  /** Adds so many copies of the flow to this remote port, with other remotes. */
  | { readonly fill: { readonly flows: number; readonly remotePort: number } }
  /** Lets one copy in so many be as old as flows that are dead. */
  | { readonly age: { readonly oneIn: number } }
  | { readonly walk: true }
  /** Lets the kernel do the next walk by itself, on this CPU and within a few seconds. */
  | { readonly timer: true };

export interface SweeperAnswer {
  /** Of the call, with `walk`. */
  readonly nanoseconds: number;
  /** Of the last walk, whoever did it. */
  readonly walked: number;
  readonly removed: number;
  /** When it ended, seconds of the monotonic clock. */
  readonly last: number;
}

type Entry = readonly [FlowKey, Flow];
type Flows = KernelMap<FlowKey, Flow>;

const BATCH = 4096;
/** Any will do: nothing is sent to them. */
const REMOTES = '203.0.0.0/8';
/** Longer than any timeout. */
const DEAD_SECONDS = 100_000;

let datapath: Datapath | undefined;
/** What was added: both entries of each, made anew from the pattern. */
let pattern: readonly Entry[] = [];
let copies = 0;

export async function serve(question: SweeperQuestion): Promise<SweeperAnswer> {
  if ('open' in question) datapath = await loadDatapath({ ...question.open, written: ['flows', 'mappings', 'sweeps'] });
  if (datapath === undefined) throw new Error('no programs were loaded');
  if ('fill' in question) fill(datapath, question.fill);
  if ('age' in question) age(datapath, question.age.oneIn);
  if ('timer' in question) handOver(datapath);
  return { nanoseconds: 'walk' in question ? run(datapath, 'sweep_flows') : 0, ...readLast(datapath) };
}

function readLast(loaded: Datapath): Omit<SweeperAnswer, 'nanoseconds'> {
  using sweeps = loaded.map('sweeps');
  const { walked, removed, last } = sweeps.get(0) ?? { walked: 0, removed: 0, last: 0 };
  return { walked, removed, last };
}

function run(loaded: Datapath, name: string): number {
  const program = loaded.program(name);
  try {
    const started = process.hrtime.bigint();
    const { retval } = program.testRun({});
    const nanoseconds = Number(process.hrtime.bigint() - started);
    if (retval !== 0) throw new Error(`${name} returned ${retval}`);
    return nanoseconds;
  } finally {
    program.close();
  }
}

/** Nobody has walked for long, as far as the timer can see; it is armed here, so it fires here. */
function handOver(loaded: Datapath): void {
  using sweeps = loaded.map('sweeps');
  const sweep = sweeps.get(0);
  if (sweep === undefined) throw new Error('there is no record of sweeps');
  sweeps.set(0, { ...sweep, last: sweep.last - DEAD_SECONDS });
  run(loaded, 'sweep_start');
}

function fill(loaded: Datapath, { flows, remotePort }: { readonly flows: number; readonly remotePort: number }): void {
  using table = loaded.map('flows') as unknown as Flows;
  pattern = findPattern(table, remotePort);
  copies = flows;
  write(table, indexes(copies, 1), now());
}

function findPattern(table: Flows, remotePort: number): Entry[] {
  const both = [...table.scan()].filter(([key]) => [key.source_port, key.destination_port].includes(remotePort));
  const opening = both.find(([, { flags }]) => (flags & FLOW_FLAGS.FLOW_REPLY) === 0);
  if (opening === undefined) throw new Error(`no flow to port ${remotePort} to copy`);
  const [key, flow] = opening;
  const reply = both.find(
    ([other]) => other.destination === flow.source && other.destination_port === flow.source_port,
  );
  if (reply === undefined) throw new Error(`the flow from ${key.source} to port ${remotePort} has no other half`);
  return [opening, reply];
}

function age(loaded: Datapath, oneIn: number): void {
  using table = loaded.map('flows') as unknown as Flows;
  write(table, indexes(copies, oneIn), now() - DEAD_SECONDS);
}

function* indexes(count: number, step: number): Generator<number> {
  for (let index = 0; index < count; index += step) yield index;
}

/** Seconds of the monotonic clock. */
function now(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}

function write(table: Flows, which: Iterable<number>, seen: number): void {
  let batch: Entry[] = [];
  for (const index of which) {
    batch.push(...copyOf(index, seen >>> 0));
    if (batch.length < BATCH) continue;
    table.setMany(batch);
    batch = [];
  }
  if (batch.length > 0) table.setMany(batch);
}

/** The same flow with another remote host. */
function copyOf(index: number, seen: number): Entry[] {
  const remote = addressAt(REMOTES, BigInt(index + 1)) ?? '';
  return pattern.map(([key, flow]): Entry => {
    if ((flow.flags & FLOW_FLAGS.FLOW_REPLY) === 0)
      return [
        { ...key, destination: remote },
        { ...flow, destination: remote, seen },
      ];
    return [
      { ...key, source: remote },
      { ...flow, source: remote, seen },
    ];
  });
}
