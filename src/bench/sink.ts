// At the end of a path: counts what arrives and drops it or sends it back, before the stack sees it.
import type { KernelMap } from '../bpf/map.js';
import type { NativeLink } from '../bpf/native.js';
import { attachIngress, loadPrograms } from './programs.js';

export interface SinkQuestion {
  readonly ifindex: number;
  /** Sends back what arrives in place of dropping it. Given at first. */
  readonly mirror?: boolean;
}

export interface SinkAnswer {
  /** Since the sink was opened. */
  readonly packets: number;
}

interface Sink {
  readonly received: KernelMap<number, readonly bigint[]>;
  /** Kept: a tcx link lives as long as its descriptor. */
  readonly link: NativeLink;
}

let sink: Sink | undefined;

export async function serve(question: SinkQuestion): Promise<SinkAnswer> {
  sink ??= await openSink(question);
  const counts = sink.received.get(0) ?? [];
  return { packets: counts.reduce((sum, count) => sum + Number(count), 0) };
}

async function openSink({ ifindex, mirror = false }: SinkQuestion): Promise<Sink> {
  const object = await loadPrograms({ ifindex });
  const link = attachIngress(object.program(mirror ? 'mirror' : 'sink'), ifindex);
  return { received: object.map('received') as unknown as Sink['received'], link };
}
