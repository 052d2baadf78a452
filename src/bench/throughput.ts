// Packets on one saturated CPU: what one of them costs from a pod to the outside, sender and sink included.
import { run } from '../testbed/command.js';
import { UPLINK } from '../testbed/node.js';
import { buildFrame } from './frame.js';
import type { GeneratorAnswer } from './generator.js';
import type { Inside } from './inside.js';
import { openInside } from './inside.js';
import { linkIn } from './links.js';
import type { EgressPath } from './paths.js';
import type { PeerName } from './peers.js';
import type { SinkAnswer } from './sink.js';
import { shuffle } from './statistics.js';

export interface ThroughputSample {
  readonly peer: PeerName;
  readonly round: number;
  /** Per packet that arrived. */
  readonly nanoseconds: number;
  /** Share of the packets that did not arrive. */
  readonly lost: number;
  readonly error?: string;
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
const SOURCE_PORT = 40000;
const DISCARD_PORT = 9;
const WARM_UP = 2000;

interface Line {
  readonly path: EgressPath;
  readonly generator: Inside;
  readonly sink: Inside;
  readonly sinkDevice: number;
}

export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputSample[]> {
  const lines = options.paths.map((path) => openLine(path, options.cpu));
  try {
    const samples: ThroughputSample[] = [];
    for (const line of lines) await switchGro(line.path, 'on');
    for (const line of lines) await start(line);
    for (let round = 1; round <= options.rounds; round++) {
      for (const line of shuffle(lines)) {
        options.signal.throwIfAborted();
        samples.push({ peer: line.path.peer, round, ...(await runOnce(line, options.packets)) });
      }
    }
    return samples;
  } finally {
    for (const line of lines) {
      line.generator.close();
      line.sink.close();
      // After a failure or a signal there may be no such device any more.
      await switchGro(line.path, 'off').catch(() => {});
    }
  }
}

/** Frames that are handed to a veth's other end are only taken there by its NAPI, which GRO switches on. */
async function switchGro({ node }: EgressPath, state: 'on' | 'off'): Promise<void> {
  await run(['ethtool', '-K', node.device, 'gro', state], { netns: node.netns });
}

function openLine(path: EgressPath, cpu: number): Line {
  return {
    path,
    generator: openInside({ job: 'generator', netns: path.pod.netns, cpu }),
    sink: openInside({ job: 'sink', netns: path.outside.netns, cpu }),
    sinkDevice: linkIn(path.outside.netns, UPLINK).ifindex,
  };
}

async function start({ path, generator, sink, sinkDevice }: Line): Promise<void> {
  const own = linkIn(path.pod.netns, UPLINK);
  const frame = buildFrame({
    kind: 'udp',
    sourceMac: own.mac,
    destinationMac: linkIn(path.node.netns, path.node.device).mac,
    source: { address: path.pod.address, port: SOURCE_PORT },
    destination: { address: path.outside.address, port: DISCARD_PORT },
  });
  await sink.ask<SinkAnswer>({ ifindex: sinkDevice });
  const load = { ifindex: own.ifindex, frame: frame.toString('hex') };
  await generator.ask<GeneratorAnswer>({ load, packets: WARM_UP });
}

type Outcome = Omit<ThroughputSample, 'peer' | 'round'>;

async function runOnce({ generator, sink, sinkDevice }: Line, packets: number): Promise<Outcome> {
  const before = await sink.ask<SinkAnswer>({ ifindex: sinkDevice });
  const { nanoseconds } = await generator.ask<GeneratorAnswer>({ packets });
  const after = await sink.ask<SinkAnswer>({ ifindex: sinkDevice });
  const arrived = after.packets - before.packets;
  if (arrived === 0) return { nanoseconds: Number.NaN, lost: 1, error: 'no packet arrived' };
  return { nanoseconds: nanoseconds / arrived, lost: 1 - arrived / packets };
}
