// Frames through the xdp program of a datapath under test, in the world of world.ts with neighbours that are known.
import { execFileSync } from 'node:child_process';
import type { NextHop, XdpCounter } from '../../src/datapath/types.gen.js';
import type { TestDatapath } from './datapath.js';
import type { Packet } from './packet.js';
import { MAC, V4, V6 } from './world.js';

export type FrameVerdict = 'pass' | 'drop' | 'send';

export interface FrameOutcome {
  readonly verdict: FrameVerdict;
  readonly bytes: Buffer;
}

export const NODE_MAC = '02:00:00:00:00:12';
const VERDICTS: Readonly<Record<number, FrameVerdict>> = { 1: 'drop', 2: 'pass', 3: 'send' };
/** struct xdp_md: its size, and the offsets of the end of the frame and of the device. */
const XDP = { bytes: 24, end: 4, ifindex: 12 } as const;
const NOBODY = '00:00:00:00:00:00';

/** The MACs of the router and of the other node, as if they had just been asked. */
export function learnNeighbours(): void {
  const lines = [V4, V6].flatMap(({ router, otherNode }) => [
    `neigh replace ${router} lladdr ${MAC.router} dev ist-up nud permanent`,
    `neigh replace ${otherNode} lladdr ${NODE_MAC} dev ist-up nud permanent`,
  ]);
  execFileSync('ip', ['-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

export function runFrame(datapath: TestDatapath, packet: Packet | Buffer, ifindex = datapath.ifindex.uplink) {
  const data = Buffer.isBuffer(packet) ? packet : packet.bytes();
  const context = Buffer.alloc(XDP.bytes);
  context.writeUInt32LE(data.length, XDP.end);
  context.writeUInt32LE(ifindex, XDP.ifindex);
  const result = datapath.program('xdp_native').testRun({ data, context });
  const verdict = VERDICTS[result.retval];
  if (verdict === undefined) throw new Error(`xdp returned ${result.retval}`);
  return { verdict, bytes: result.data } satisfies FrameOutcome;
}

/** As if, on every CPU, a packet to each next hop had gone through the stack so many seconds ago. */
export function tellNextHops(datapath: TestDatapath, secondsAgo = 0): void {
  using map = datapath.object.map('next_hops');
  const told = Number(process.hrtime.bigint() / 1_000_000_000n) - secondsAgo;
  for (const [slot, cpus] of [...map.scan()]) {
    const empty = { address: '::', mac: NOBODY, source: NOBODY, resolved: 0, pad: 0 };
    map.set(slot, cpus.map((): NextHop => ({ ...empty, told })) as never);
  }
}

/** Packets that the program has sent. */
export function sentPackets(datapath: TestDatapath): number {
  using map = datapath.object.map('xdp_counters');
  const cpus = map.get(0) as readonly XdpCounter[] | undefined;
  return (cpus ?? []).reduce((sum, { packets }) => sum + Number(packets), 0);
}
