// The removal of dead flows from a large table: what an entry costs, and how long packets wait meanwhile.
import { setTimeout as pause } from 'node:timers/promises';
import { capture } from '../../testbed/command.js';
import { PROBE } from '../../testbed/files.js';
import { askAgent, killAgent } from '../../testbed/node-agent.js';
import { type Inside, openInside } from '../inside.js';
import type { PodPath } from '../paths.js';
import { SERVER_PORT } from '../plan.js';
import { shuffle } from '../statistics.js';
import type { NatBed } from './bed.js';
import { clearFlows } from './flow-table.js';
import { nodeOf } from './plan.js';
import { lookAt, viewOf } from './programs.js';
import type { SweeperAnswer, SweeperQuestion } from './sweeper.js';

/**
 * What happens while packets go: nothing; a walk that the agent asks for, on the packets' CPU or the other one; a walk
 * of the kernel's own, on the packets' CPU.
 */
export const DISTURBANCES = ['none', 'same CPU', 'other CPU', 'timer'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

/** One walk over the whole table. */
export interface WalkSample {
  readonly round: number;
  readonly walked: number;
  readonly removed: number;
  readonly nanoseconds: number;
}

/** A second of packets at a rate; microseconds from when one was due until its answer was there. */
export interface DelaySample {
  readonly disturbance: Disturbance;
  readonly round: number;
  readonly p50: number;
  readonly p999: number;
  readonly max: number;
  readonly count: number;
  readonly errors: number;
  /** Entries that were walked over meanwhile. */
  readonly walked: number;
  readonly error?: string;
}

export interface RemovalSamples {
  readonly flows: number;
  readonly walks: readonly WalkSample[];
  readonly delays: readonly DelaySample[];
}

export interface RemovalOptions {
  readonly bed: NatBed;
  /** In the table. */
  readonly flows: number;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

const RATE = 4000;
const WINDOW_SECONDS = 1;
const WALK_AFTER_MS = 300;
/** The kernel's timer fires every five seconds. */
const TIMER_SECONDS = 6;
/** One flow in so many is dead in every second walk. */
const DEAD_ONE_IN = 10;

/** The agent of the island is gone afterwards: nobody else is to walk meanwhile. */
export async function measureRemoval(options: RemovalOptions): Promise<RemovalSamples> {
  const { bed, flows } = options;
  const node = nodeOf(bed.plan, 'island');
  const [path] = bed.paths.island ?? [];
  if (!path || !(await askAgent(node))) throw new Error('the island has no agent or no pod');
  const view = viewOf(node, await lookAt(node, bed));
  await killAgent(node);
  clearFlows(node);
  await sendAtRate(path, { cpu: bed.cpu, seconds: 0.1 });
  const sweepers: Inside[] = [];
  try {
    for (const cpu of [bed.cpu, bed.cpu === 0 ? 1 : bed.cpu - 1]) {
      const inside = openInside({ job: 'sweeper', netns: node.netns, cpu, realTime: false });
      sweepers.push(inside);
      await ask(inside, { open: view });
    }
    const [same, other] = sweepers as [Inside, Inside];
    await ask(other, { fill: { flows, remotePort: SERVER_PORT } });
    const delays = await measureDelays(path, { same, other }, options);
    return { flows, delays, walks: await measureWalks(other, options) };
  } finally {
    for (const sweeper of sweepers) sweeper.close();
    clearFlows(node);
  }
}

function ask(inside: Inside, question: SweeperQuestion): Promise<SweeperAnswer> {
  return inside.ask<SweeperAnswer>(question);
}

/** In every second one nothing is dead. */
async function measureWalks(sweeper: Inside, { rounds, signal }: RemovalOptions): Promise<WalkSample[]> {
  const samples: WalkSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    signal.throwIfAborted();
    samples.push({ round, ...(await ask(sweeper, { walk: true })) });
    await ask(sweeper, { age: { oneIn: DEAD_ONE_IN } });
    samples.push({ round, ...(await ask(sweeper, { walk: true })) });
  }
  return samples;
}

interface Sweepers {
  readonly same: Inside;
  readonly other: Inside;
}

async function measureDelays(path: PodPath, sweepers: Sweepers, options: RemovalOptions): Promise<DelaySample[]> {
  const { bed, rounds, signal } = options;
  const samples: DelaySample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const disturbance of shuffle(DISTURBANCES)) {
      signal.throwIfAborted();
      // Nobody has walked for some seconds: the timer of another round must not do it in this one.
      const before = await ask(sweepers.other, { walk: true });
      const packets = sendAtRate(path, { cpu: bed.cpu, seconds: secondsOf(disturbance) });
      await pause(WALK_AFTER_MS);
      const after = await disturb(disturbance, sweepers, packets);
      const walked = disturbance === 'none' || after.last < before.last ? 0 : after.walked;
      samples.push({ disturbance, round, ...(await packets), walked });
    }
  }
  return samples;
}

function secondsOf(disturbance: Disturbance): number {
  return disturbance === 'timer' || disturbance === 'none' ? TIMER_SECONDS : WINDOW_SECONDS;
}

async function disturb(how: Disturbance, { same, other }: Sweepers, packets: Promise<unknown>): Promise<SweeperAnswer> {
  if (how === 'same CPU') return ask(same, { walk: true });
  if (how === 'other CPU') return ask(other, { walk: true });
  if (how === 'timer') await ask(same, { timer: true });
  await packets;
  return ask(other, { look: true });
}

type Packets = Omit<DelaySample, 'disturbance' | 'round' | 'walked'>;

async function sendAtRate(path: PodPath, { cpu, seconds }: { cpu: number; seconds: number }): Promise<Packets> {
  const words = ['bench', 'udp_rate', path.outside.address, String(SERVER_PORT)];
  const flags = ['--rate', String(RATE), '--seconds', String(seconds), '--cpu', String(cpu), '--fifo'];
  const { stdout, stderr } = await capture([PROBE, ...words, ...flags], { netns: path.pod.netns });
  if (!stdout.startsWith('{')) throw new Error(`the probe: ${stderr.trim() || 'it said nothing'}`);
  const { p50, p999, max, count, errors, error } = JSON.parse(stdout) as Packets;
  return { p50, p999, max, count, errors, ...(error === undefined ? {} : { error }) };
}
