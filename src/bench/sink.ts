// Inside an outside host's namespace: counts and drops what arrives, before the stack sees it.
import type { KernelMap } from '../bpf/map.js';
import type { NativeLink } from '../bpf/native.js';
import { attachIngress, loadPrograms } from './programs.js';

export interface SinkQuestion {
  readonly ifindex: number;
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

export async function serve({ ifindex }: SinkQuestion): Promise<SinkAnswer> {
  sink ??= await openSink(ifindex);
  const counts = sink.received.get(0) ?? [];
  return { packets: counts.reduce((sum, count) => sum + Number(count), 0) };
}

async function openSink(ifindex: number): Promise<Sink> {
  const object = await loadPrograms({});
  const link = attachIngress(object.program('sink'), ifindex);
  return { received: object.map('received') as unknown as Sink['received'], link };
}
