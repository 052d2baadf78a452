// The sample object: compiled when a test asks for it.
import { join } from 'node:path';
import { compileObject } from '../../src/bpf/clang.js';

const ROOT = join(import.meta.dirname, '../..');

/** Compiles test/support/sample.bpf.c and returns the object's path. */
export async function compileSample(): Promise<string> {
  const objectPath = join(ROOT, 'build/test-objects/sample.bpf.o');
  await compileObject({ source: join(import.meta.dirname, 'sample.bpf.c'), includeDir: join(ROOT, 'bpf'), objectPath });
  return objectPath;
}

export interface Every {
  readonly tiny: number;
  readonly flag: boolean;
  readonly port: number;
  readonly word: number;
  readonly negative: number;
  readonly large: bigint;
  readonly deep: bigint;
  readonly address: string;
  readonly mac: string;
  readonly name: string;
  readonly colour: string | number;
  readonly seen: number;
  readonly bytes: Uint8Array;
  readonly numbers: readonly number[];
  readonly inner: readonly { readonly address: string; readonly mask: string }[];
  readonly either?: number;
  readonly halves?: readonly number[];
  readonly wide: string | bigint;
}

export interface FlowKey {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
}

export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly ifindex_in: number;
  readonly ifindex_out: number;
  readonly next_hop: string;
  readonly mac: string;
  readonly flags: number;
  readonly mtu: number;
  readonly seen: number;
  readonly created: number;
  readonly resolved: number;
  readonly shift: number;
  readonly timestamp: number;
  readonly sequence: number;
  readonly clock: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Maps of the sample object. */
export interface SampleMaps {
  readonly hash: { readonly key: FlowKey; readonly value: Flow };
  readonly lru: { readonly key: number; readonly value: Every };
  readonly trie: {
    readonly key: { readonly prefix_length: number; readonly prefix: string };
    readonly value: { readonly type: number; readonly next_hop: string };
  };
  readonly array: { readonly key: number; readonly value: bigint };
  readonly percpu_hash: {
    readonly key: { readonly reason: number; readonly direction: number };
    readonly value: readonly { readonly packets: bigint; readonly bytes: bigint }[];
  };
  readonly percpu_array: { readonly key: number; readonly value: readonly number[] };
  readonly devices: { readonly key: number; readonly value: number };
  readonly events: unknown;
}

export interface SampleConfig {
  readonly mark: number;
  readonly gateway: string;
}
