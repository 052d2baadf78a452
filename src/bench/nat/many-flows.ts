// 64 k flows to one server at once: every packet gets there and every answer back, with every port in use.
import { type Counter, closeLine, type Line, loadFrames, openCounter, openLine, send } from '../line.js';
import type { NatBed } from './bed.js';
import { countEntries } from './flow-table.js';
import { nodeOf, WIDE_BLOCK } from './plan.js';

/** Destination ports of the server: one address has fewer ports than there are flows. */
export const REMOTE_PORTS = 2;

/** All flows once. */
export interface ManyFlowsSample {
  readonly round: number;
  readonly flows: number;
  /** Flows that the node's table holds afterwards. */
  readonly held: number;
  readonly sent: number;
  /** Packets that the server got, and answered. */
  readonly arrived: number;
  /** Answers that the pods got. */
  readonly answered: number;
}

export interface ManyFlowsOptions {
  readonly bed: NatBed;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/** Ports of 2^bits sources make a whole block. */
const SOURCE_BITS = Math.log2(WIDE_BLOCK);
const FLOWS_OF_POD = WIDE_BLOCK * REMOTE_PORTS;
const FRAMES = {
  name: 'many',
  kind: 'udp',
  sourcePort: 20_000,
  destinationPort: 10_000,
  choice: { flows: FLOWS_OF_POD, sourceBits: SOURCE_BITS },
} as const;

/** A pod that sends, and who counts what comes back to it. */
interface Talk {
  readonly line: Line;
  readonly home: Counter;
}

export async function measureManyFlows({ bed, rounds, signal }: ManyFlowsOptions): Promise<ManyFlowsSample[]> {
  const node = nodeOf(bed.plan, 'wide');
  const talks: Talk[] = [];
  const samples: ManyFlowsSample[] = [];
  const server = await openCounter({ netns: bed.wide[0]?.outside.netns ?? '', cpu: bed.cpu, mirror: true });
  try {
    for (const path of bed.wide) {
      const home = await openCounter({ netns: path.pod.netns, cpu: bed.cpu });
      talks.push({ line: await openLine(path, { cpu: bed.cpu, far: server }), home });
    }
    for (const { line } of talks) await loadFrames(line, FRAMES, 1);
    for (let round = 1; round <= rounds; round++) {
      signal.throwIfAborted();
      samples.push({ round, ...(await sendAll(talks, server)), held: countEntries(node) / 2 });
    }
    return samples;
  } finally {
    server.close();
    for (const { line, home } of talks) {
      home.close();
      await closeLine(line);
    }
  }
}

/** One packet of every flow of every pod. */
async function sendAll(talks: readonly Talk[], server: Counter): Promise<Omit<ManyFlowsSample, 'round' | 'held'>> {
  const atHome = async (): Promise<number> => {
    const counts = await Promise.all(talks.map(({ home }) => home.count()));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const before = { arrived: await server.count(), answered: await atHome() };
  const flows = talks.length * FLOWS_OF_POD;
  for (const { line } of talks) await send(line, FRAMES.name, FLOWS_OF_POD);
  return {
    flows,
    sent: flows,
    arrived: (await server.count()) - before.arrived,
    answered: (await atHome()) - before.answered,
  };
}
