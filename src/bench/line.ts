// A path with a sender of frames at one end and who counts them at the other, all on one CPU.
import { run } from '../testbed/command.js';
import { UPLINK } from '../testbed/node.js';
import type { FrameOptions } from './frame.js';
import { buildFrame } from './frame.js';
import type { FlowChoice, GeneratorAnswer, GeneratorQuestion } from './generator.js';
import type { Inside } from './inside.js';
import { openInside } from './inside.js';
import { linkIn } from './links.js';
import type { PodPath } from './paths.js';
import type { SinkAnswer, SinkQuestion } from './sink.js';

/** Counts the IPv4 packets that arrive in a namespace, and keeps them from its stack. */
export interface Counter {
  /** Since it was opened. */
  count(): Promise<number>;
  close(): void;
}

export interface Line {
  readonly path: PodPath;
  readonly generator: Inside;
  readonly far: Counter;
}

export interface CounterOptions {
  readonly netns: string;
  readonly cpu: number;
  /** Sends back what arrives. */
  readonly mirror?: boolean;
}

export interface LineOptions {
  readonly cpu: number;
  /** Who counts at the far end, when that is somebody already. */
  readonly far?: Counter;
}

export interface LoadOptions {
  readonly name: string;
  readonly kind: FrameOptions['kind'];
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly choice?: FlowChoice;
}

/** What one run sent and what came of it. */
export interface Passage {
  /** Per packet that arrived. */
  readonly nanoseconds: number;
  /** Share of the packets that did not arrive. */
  readonly lost: number;
  readonly error?: string;
}

/** Counts from now on. */
export async function openCounter({ netns, cpu, mirror = false }: CounterOptions): Promise<Counter> {
  const question: SinkQuestion = { ifindex: linkIn(netns, UPLINK).ifindex, mirror };
  const sink = openInside({ job: 'sink', netns, cpu });
  await sink.ask<SinkAnswer>(question);
  return { count: async () => (await sink.ask<SinkAnswer>(question)).packets, close: () => sink.close() };
}

/** Ready to send, but for its frames. */
export async function openLine(path: PodPath, { cpu, far }: LineOptions): Promise<Line> {
  const counter = far ?? (await openCounter({ netns: path.outside.netns, cpu }));
  await switchGro(path, 'on');
  return { path, generator: openInside({ job: 'generator', netns: path.pod.netns, cpu }), far: counter };
}

export async function closeLine({ path, generator, far }: Line): Promise<void> {
  generator.close();
  far.close();
  // After a failure or a signal there may be no such device any more.
  await switchGro(path, 'off').catch(() => {});
}

/** Frames that are handed to a veth's other end are only taken there by its NAPI, which GRO switches on. */
async function switchGro({ node }: PodPath, state: 'on' | 'off'): Promise<void> {
  await run(['ethtool', '-K', node.device, 'gro', state], { netns: node.netns });
}

/** Has the sender make its frames, and sends the first `packets` of them. */
export async function loadFrames({ path, generator }: Line, options: LoadOptions, packets: number): Promise<void> {
  const { name, kind, choice } = options;
  const own = linkIn(path.pod.netns, UPLINK);
  const frame = buildFrame({
    kind,
    sourceMac: own.mac,
    destinationMac: linkIn(path.node.netns, path.node.gateway ?? path.node.device).mac,
    source: { address: path.pod.address, port: options.sourcePort },
    destination: { address: path.outside.address, port: options.destinationPort },
  });
  const load = { ifindex: own.ifindex, frame: frame.toString('hex'), ...(choice === undefined ? {} : { choice }) };
  const question: GeneratorQuestion = { name, load, packets };
  await generator.ask<GeneratorAnswer>(question);
}

/** Sends the next frames of a name. */
export async function send({ generator, far }: Line, name: string, packets: number): Promise<Passage> {
  const before = await far.count();
  const { nanoseconds } = await generator.ask<GeneratorAnswer>({ name, packets });
  const arrived = (await far.count()) - before;
  if (arrived === 0) return { nanoseconds: Number.NaN, lost: 1, error: 'no packet arrived' };
  return { nanoseconds: nanoseconds / arrived, lost: 1 - arrived / packets };
}
