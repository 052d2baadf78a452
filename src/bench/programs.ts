// The benchmark's own BPF programs, compiled from bpf/bench when they are used.
import { compileObject } from '../bpf/clang.js';
import type { NativeLink, NativeProgram } from '../bpf/native.js';
import { loadNative } from '../bpf/native.js';
import { BpfObject } from '../bpf/object.js';
import { ROOT } from '../testbed/files.js';

/** struct bench_config */
export interface BenchConfig {
  readonly ifindex: number;
  readonly frame: readonly number[];
  readonly flows: number;
  readonly source_bits: number;
  readonly stride: number;
  readonly tcp: number;
}

export interface BenchMaps {
  readonly received: { readonly key: number; readonly value: readonly bigint[] };
}

const SOURCE = `${ROOT}/bpf/bench/bench.bpf.c`;
const OBJECT = `${ROOT}/build/bpf/bench.bpf.o`;

/** Throws BpfError without a compiler. */
export async function compilePrograms(): Promise<void> {
  await compileObject({ source: SOURCE, includeDir: `${ROOT}/bpf`, objectPath: OBJECT });
}

/** Loads them with a frame to send; they must have been compiled. */
export async function loadPrograms(config: Partial<BenchConfig>): Promise<BpfObject<BenchMaps, BenchConfig>> {
  const object = BpfObject.open<BenchMaps, BenchConfig>(loadNative(), OBJECT);
  object.configure(config);
  await object.load();
  return object;
}

/** What a device of this namespace receives goes through the program while the link is open. Before 6.6 by clsact. */
export function attachIngress(program: NativeProgram, ifindex: number): NativeLink {
  const native = loadNative();
  try {
    return native.attachTcx(program, ifindex, 'ingress');
  } catch {
    return native.attachClsact(program, ifindex, 'ingress');
  }
}
