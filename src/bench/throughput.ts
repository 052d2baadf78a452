// Packets on one saturated CPU: what one of them costs from a pod to the outside, sender and sink included.
import { forgetFlows } from './forget.js';
import type { Line, LoadOptions, Passage } from './line.js';
import { closeLine, loadFrames, openLine, send } from './line.js';
import type { EgressPath } from './paths.js';
import type { PeerName } from './peers.js';
import type { BenchPlan } from './plan.js';
import { shuffle } from './statistics.js';

/** What a run sends: packets of one flow, or packets that each open one. */
export const PACKET_KINDS = ['1 flow', 'new flows'] as const;
export type PacketKind = (typeof PACKET_KINDS)[number];

export interface ThroughputSample extends Passage {
  readonly peer: PeerName;
  readonly kind: PacketKind;
  readonly round: number;
}

export interface ThroughputOptions {
  readonly plan: BenchPlan;
  readonly paths: readonly EgressPath[];
  readonly kinds: readonly PacketKind[];
  readonly rounds: number;
  /** In one run. */
  readonly packets: Readonly<Record<PacketKind, number>>;
  readonly cpu: number;
  readonly signal: AbortSignal;
}

/** Half of a pod's block; the rest of a flow's identity is the destination port. */
const SOURCE_BITS = 7;
const LOADS: Readonly<Record<PacketKind, LoadOptions>> = {
  // RFC 863's port; the sink answers for nobody.
  '1 flow': { name: '1 flow', kind: 'udp', sourcePort: 40_000, destinationPort: 9 },
  // More than a benchmark sends: none comes a second time.
  'new flows': {
    name: 'new flows',
    kind: 'syn',
    sourcePort: 30_000,
    destinationPort: 10_000,
    choice: { flows: 40_000 << SOURCE_BITS, sourceBits: SOURCE_BITS },
  },
};
const WARM_UP = 2000;

interface PeerLine {
  readonly peer: PeerName;
  readonly line: Line;
}

export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputSample[]> {
  const lines: PeerLine[] = [];
  try {
    const samples: ThroughputSample[] = [];
    for (const path of options.paths) lines.push({ peer: path.peer, line: await openLine(path, options) });
    for (const kind of options.kinds) samples.push(...(await measureKind(kind, lines, options)));
    return samples;
  } finally {
    for (const { line } of lines) await closeLine(line);
  }
}

async function measureKind(
  kind: PacketKind,
  lines: readonly PeerLine[],
  { plan, rounds, packets, signal }: ThroughputOptions,
): Promise<ThroughputSample[]> {
  const samples: ThroughputSample[] = [];
  const forget = async (peer: PeerName): Promise<void> => {
    if (kind === 'new flows') await forgetFlows(plan, peer);
  };
  for (const { line } of lines) await loadFrames(line, LOADS[kind], WARM_UP);
  for (let round = 1; round <= rounds; round++) {
    for (const { peer, line } of shuffle(lines)) {
      signal.throwIfAborted();
      await forget(peer);
      samples.push({ peer, kind, round, ...(await send(line, kind, packets[kind])) });
    }
  }
  // What is measured next must not meet them.
  for (const { peer } of lines) await forget(peer);
  return samples;
}
