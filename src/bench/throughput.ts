// Packets on one saturated CPU: what one of them costs from a pod to the outside, sender and sink included.
import type { Line, Passage } from './line.js';
import { closeLine, loadFrames, openLine, send } from './line.js';
import type { EgressPath } from './paths.js';
import type { PeerName } from './peers.js';
import { shuffle } from './statistics.js';

export interface ThroughputSample extends Passage {
  readonly peer: PeerName;
  readonly round: number;
}

export interface ThroughputOptions {
  readonly paths: readonly EgressPath[];
  readonly rounds: number;
  /** In one run. */
  readonly packets: number;
  readonly cpu: number;
  readonly signal: AbortSignal;
}

/** RFC 863's port; the sink answers for nobody. */
const FRAMES = { name: 'udp', kind: 'udp', sourcePort: 40000, destinationPort: 9 } as const;
const WARM_UP = 2000;

export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputSample[]> {
  const lines: { readonly peer: PeerName; readonly line: Line }[] = [];
  try {
    const samples: ThroughputSample[] = [];
    for (const path of options.paths) lines.push({ peer: path.peer, line: await openLine(path, options) });
    for (const { line } of lines) await loadFrames(line, FRAMES, WARM_UP);
    for (let round = 1; round <= options.rounds; round++) {
      for (const { peer, line } of shuffle(lines)) {
        options.signal.throwIfAborted();
        samples.push({ peer, round, ...(await send(line, FRAMES.name, options.packets)) });
      }
    }
    return samples;
  } finally {
    for (const { line } of lines) await closeLine(line);
  }
}
