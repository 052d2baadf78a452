// Inside a node's namespace: fills the node's own flow table, and has dead flows removed as the agent does.
import { loadNative, type NativeMap } from '../../bpf/native.js';
import { WALKER } from '../../datapath/types.gen.js';
import { runWalk } from '../../datapath/walk.js';
import { type Datapath, loadDatapath, type NodeView } from '../loaded.js';
import { Copies } from './copies.js';

/** Adds so many copies of the flow to this remote port, with other remotes. */
export interface Fill {
  readonly flows: number;
  readonly remotePort: number;
}

export type SweeperQuestion =
  | { readonly open: NodeView }
  | { readonly fill: Fill }
  /** Lets one copy in so many be as old as flows that are dead. */
  | { readonly age: { readonly oneIn: number } }
  /** Nothing: tells about the last walk. */
  | { readonly look: true }
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

interface Opened {
  readonly loaded: Datapath;
  /** The node's table of flows. */
  readonly table: NativeMap;
}

/** Longer than any timeout. */
const DEAD_SECONDS = 100_000;

let opened: Opened | undefined;
/** What was added. */
let copies: Copies | undefined;
let count = 0;

export async function serve(question: SweeperQuestion): Promise<SweeperAnswer> {
  if ('open' in question) opened = await open(question.open);
  if (opened === undefined) throw new Error('no programs were loaded');
  if ('fill' in question) fill(opened, question.fill);
  if ('age' in question) age(opened, question.age.oneIn);
  if ('timer' in question) armTimer(opened.loaded);
  return { nanoseconds: 'walk' in question ? await walk(opened.loaded) : 0, ...readLast(opened.loaded) };
}

async function open(view: NodeView): Promise<Opened> {
  const loaded = await loadDatapath({ ...view, written: ['flows', 'mappings', 'sweeps'] });
  return { loaded, table: loadNative().openPinnedMap(`${view.bpffs}/flows`) };
}

function readLast(loaded: Datapath): Omit<SweeperAnswer, 'nanoseconds'> {
  using sweeps = loaded.map('sweeps');
  const { walked, removed, last } = sweeps.get(0) ?? { walked: 0, removed: 0, last: 0 };
  return { walked, removed, last };
}

/** A walk as the timer makes it. Returns nanoseconds in the kernel's program, without what is between its pieces. */
async function walk(loaded: Datapath): Promise<number> {
  const program = loaded.program('sweep_flows');
  using walks = loaded.map('walks');
  try {
    await runWalk(program);
    return Number(walks.get(WALKER.WALKER_AGENT)?.spent ?? 0n);
  } finally {
    program.close();
  }
}

/** It fires where it is armed. */
function armTimer(loaded: Datapath): void {
  const program = loaded.program('sweep_start');
  const { retval } = program.testRun({});
  program.close();
  if (retval !== 0) throw new Error(`sweep_start returned ${retval}`);
}

/** Seconds of the monotonic clock. */
function now(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}

function fill({ loaded, table }: Opened, { flows, remotePort }: Fill): void {
  copies = new Copies(loaded, remotePort);
  count = flows;
  copies.write(table, { count, step: 1, seen: now() });
}

function age({ table }: Opened, oneIn: number): void {
  copies?.write(table, { count, step: oneIn, seen: now() - DEAD_SECONDS });
}
