// Packets on one saturated CPU: what one of them costs from a pod to the outside, sender and sink included.
import { capture } from '../testbed/command.js';
import { loadNativeNet } from '../net/native.js';
import type { LinkInfo } from '../net/native.js';
import { buildFrame } from './frame.js';
import type { GeneratorAnswer } from './generator.js';
import type { Inside } from './inside.js';
import { openInside } from './inside.js';
import type { PeerName } from './peers.js';
import type { SinkAnswer } from './sink.js';
import { shuffle } from './statistics.js';
import { DEVICE } from './topology.js';

/** A way from a pod through its node to an outside host. */
export interface EgressPath {
  readonly peer: PeerName;
  readonly pod: { readonly netns: string; readonly address: string };
  readonly node: { readonly netns: string; /** The pod's veth. */ readonly device: string };
  readonly outside: { readonly netns: string; readonly address: string };
}

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
    for (const line of lines) await setGro(line.path, 'on');
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
      await setGro(line.path, 'off');
    }
  }
}

/** Frames that are handed to a veth's other end are only taken there by its NAPI, which GRO switches on. */
async function setGro({ node }: EgressPath, state: 'on' | 'off'): Promise<void> {
  const { status, stderr } = await capture(['ethtool', '-K', node.device, 'gro', state], { netns: node.netns });
  if (status !== 0) throw new Error(`cannot switch GRO ${state} on ${node.device} in ${node.netns}: ${stderr.trim()}`);
}

function openLine(path: EgressPath, cpu: number): Line {
  return {
    path,
    generator: openInside({ job: 'generator', netns: path.pod.netns, cpu }),
    sink: openInside({ job: 'sink', netns: path.outside.netns, cpu }),
    sinkDevice: linkIn(path.outside.netns, DEVICE).ifindex,
  };
}

async function start({ path, generator, sink, sinkDevice }: Line): Promise<void> {
  const own = linkIn(path.pod.netns, DEVICE);
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

async function runOnce({ generator, sink, sinkDevice }: Line, packets: number): Promise<Omit<ThroughputSample, 'peer' | 'round'>> {
  const before = await sink.ask<SinkAnswer>({ ifindex: sinkDevice });
  const { nanoseconds } = await generator.ask<GeneratorAnswer>({ packets });
  const after = await sink.ask<SinkAnswer>({ ifindex: sinkDevice });
  const arrived = after.packets - before.packets;
  if (arrived === 0) return { nanoseconds: Number.NaN, lost: 1, error: 'no packet arrived' };
  return { nanoseconds: nanoseconds / arrived, lost: 1 - arrived / packets };
}

/** Throws when the namespace has no such device. */
export function linkIn(netns: string, device: string): LinkInfo {
  const netlink = loadNativeNet().openNetlink(`/run/netns/${netns}`);
  try {
    const link = netlink.link(device);
    if (!link) throw new Error(`no device ${device} in ${netns}`);
    return link;
  } finally {
    netlink.close();
  }
}
