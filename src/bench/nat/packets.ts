// Packets of many flows on one saturated CPU: established ones, and the first of new ones.
import { forgetFlows } from '../forget.js';
import type { LoadOptions } from '../line.js';
import { closeLine, type Line, loadFrames, openLine, type Passage, send } from '../line.js';
import { shuffle } from '../statistics.js';
import type { NatBed, NatPeer } from './bed.js';

/** What a run sends: packets of so many established flows, or so many packets that each open one. */
export const PACKET_KINDS = ['1 k flows', '50 k flows', 'new flows'] as const;
export type PacketKind = (typeof PACKET_KINDS)[number];

export interface NatPacketSample extends Passage {
  readonly peer: NatPeer;
  readonly kind: PacketKind;
  readonly round: number;
}

export interface NatPacketOptions {
  readonly bed: NatBed;
  readonly kinds: readonly PacketKind[];
  readonly rounds: number;
  /** In one run of established flows. */
  readonly packets: number;
  /** In one run of new ones. */
  readonly newFlows: number;
  readonly signal: AbortSignal;
}

/** Half of a pod's block; the rest of a flow's identity is the destination port. */
const SOURCE_BITS = 7;
const ESTABLISHED = { kind: 'udp', sourcePort: 30_000, destinationPort: 10_000 } as const;
const LOADS: Readonly<Record<PacketKind, LoadOptions>> = {
  '1 k flows': { ...ESTABLISHED, name: '1 k flows', choice: { flows: 1024, sourceBits: SOURCE_BITS } },
  '50 k flows': { ...ESTABLISHED, name: '50 k flows', choice: { flows: 50 * 1024, sourceBits: SOURCE_BITS } },
  // More than a benchmark sends: none comes a second time.
  'new flows': {
    kind: 'syn',
    sourcePort: 30_000,
    destinationPort: 10_000,
    name: 'new flows',
    choice: { flows: 40_000 << SOURCE_BITS, sourceBits: SOURCE_BITS },
  },
};

interface PeerLine {
  readonly peer: NatPeer;
  readonly line: Line;
}

export async function measureNatPackets(options: NatPacketOptions): Promise<NatPacketSample[]> {
  const { bed, kinds } = options;
  const lines: PeerLine[] = [];
  try {
    for (const [peer, [path]] of Object.entries(bed.paths)) {
      if (path) lines.push({ peer: peer as NatPeer, line: await openLine(path, bed) });
    }
    const samples: NatPacketSample[] = [];
    for (const kind of kinds) samples.push(...(await measureKind(kind, lines, options)));
    return samples;
  } finally {
    for (const { line } of lines) await closeLine(line);
  }
}

/** One after the other: what one kind has left in the tables must not be what the next one finds. */
async function measureKind(
  kind: PacketKind,
  lines: readonly PeerLine[],
  options: NatPacketOptions,
): Promise<NatPacketSample[]> {
  const samples: NatPacketSample[] = [];
  for (const { peer } of lines) await forgetFlows(options.bed.plan, peer);
  for (const { line } of lines) await loadFrames(line, LOADS[kind], warmUpOf(kind));
  for (let round = 1; round <= options.rounds; round++) {
    for (const { peer, line } of shuffle(lines)) {
      options.signal.throwIfAborted();
      if (kind === 'new flows') await forgetFlows(options.bed.plan, peer);
      const packets = kind === 'new flows' ? options.newFlows : options.packets;
      samples.push({ peer, kind, round, ...(await send(line, kind, packets)) });
    }
  }
  return samples;
}

/** Every flow twice, so that all of them are known. */
function warmUpOf(kind: PacketKind): number {
  return kind === 'new flows' ? 1000 : 2 * (LOADS[kind].choice?.flows ?? 1);
}
