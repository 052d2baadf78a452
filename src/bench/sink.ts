// Inside an outside host's namespace: counts and drops what arrives, before the stack sees it.
import type { KernelMap } from '../bpf/map.js';
import type { Native, NativeLink, NativeProgram } from '../bpf/native.js';
import { loadNative } from '../bpf/native.js';
import { loadPrograms } from './programs.js';

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
  const link = attach(loadNative(), object.program('sink'), ifindex);
  return { received: object.map('received') as unknown as Sink['received'], link };
}

/** Kernels before 6.6 have no tcx. */
function attach(native: Native, program: NativeProgram, ifindex: number): NativeLink {
  try {
    return native.attachTcx(program, ifindex, 'ingress');
  } catch {
    return native.attachClsact(program, ifindex, 'ingress');
  }
}
