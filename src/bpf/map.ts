// A typed map: plain objects in and out, bytes to the kernel. BTF says how.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Codec, createCodecs } from '../btf/codec.js';
import { parseBtf } from '../btf/parse.js';
import type { Btf } from '../btf/types.js';
import { BpfError } from './error.js';
import type { MapInfo, Native, NativeMap } from './native.js';
import { SEMANTICS } from './semantics.js';

/** What the rest of the code sees of a map, real or fake. All calls throw NativeError when the kernel refuses. */
export interface BpfMap<K, V> {
  readonly name: string;
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  /** Whether there was such a key. */
  delete(key: K): boolean;
  /** One call to the kernel; an entry that fails leaves those before it written. */
  setMany(entries: readonly (readonly [K, V])[]): void;
  /** Missing keys are no error. Returns how many were deleted. */
  deleteMany(keys: readonly K[]): number;
  /** Every entry, read in chunks with a turn of the event loop between two; changes meanwhile may or may not show. */
  entries(): AsyncGenerator<readonly [K, V]>;
  /** The same in one go, for commands that have no event loop to keep alive. */
  scan(): Generator<readonly [K, V]>;
  close(): void;
}

/** Entries of one read: about a millisecond. */
const CHUNK = 2048;

export interface KernelMapOptions {
  readonly handle: NativeMap;
  readonly btf: Btf;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
  /** Number of values of a per-CPU map. */
  readonly cpus: number;
}

/** A map of the kernel. A per-CPU map's value is an array of values, one a possible CPU. */
export class KernelMap<K, V> implements BpfMap<K, V>, Disposable {
  /** The types that describe its entries. */
  readonly btf: Btf;
  readonly #handle: NativeMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  constructor({ handle, btf, keyTypeId, valueTypeId, cpus }: KernelMapOptions) {
    const { name, keySize, valueSize } = handle.info;
    if (keyTypeId === 0 || valueTypeId === 0) throw new BpfError(`cannot read map ${name}: its layout is not in BTF`);
    const codecs = createCodecs(btf, SEMANTICS);
    const value = codecs<V>(valueTypeId);
    this.btf = btf;
    this.#handle = handle;
    this.#key = codecs<K>(keyTypeId);
    this.#value = isPerCpu(handle.info) ? (perCpuCodec(value, cpus) as Codec<V>) : value;
    if (this.#key.size !== keySize || value.size !== valueSize) {
      throw new BpfError(
        `map ${name}: BTF says ${this.#key.size} + ${value.size} bytes an entry, the kernel says ` +
          `${keySize} + ${valueSize}; the map is left alone`,
      );
    }
  }

  get name(): string {
    return this.#handle.info.name;
  }

  get info(): MapInfo {
    return this.#handle.info;
  }

  get(key: K): V | undefined {
    const bytes = this.#handle.lookup(this.#key.encode(key));
    return bytes === undefined ? undefined : this.#value.decode(bytes);
  }

  set(key: K, value: V): void {
    this.#handle.update(this.#key.encode(key), this.#value.encode(value));
  }

  delete(key: K): boolean {
    return this.#handle.delete(this.#key.encode(key));
  }

  setMany(entries: readonly (readonly [K, V])[]): void {
    const values = Buffer.allocUnsafe(entries.length * this.#value.size);
    entries.forEach(([, value], index) => {
      this.#value.encodeInto(value, values, index * this.#value.size);
    });
    this.#handle.updateBatch(this.#keys(entries.map(([key]) => key)), values, entries.length);
  }

  deleteMany(keys: readonly K[]): number {
    return this.#handle.deleteBatch(this.#keys(keys), keys.length);
  }

  async *entries(): AsyncGenerator<readonly [K, V]> {
    for (const chunk of this.#chunks()) {
      yield* chunk;
      await nextTurn();
    }
  }

  *scan(): Generator<readonly [K, V]> {
    for (const chunk of this.#chunks()) yield* chunk;
  }

  pin(path: string): void {
    this.#handle.pin(path);
  }

  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #keys(keys: readonly K[]): Buffer {
    const bytes = Buffer.allocUnsafe(keys.length * this.#key.size);
    keys.forEach((key, index) => {
      this.#key.encodeInto(key, bytes, index * this.#key.size);
    });
    return bytes;
  }

  *#chunks(): Generator<(readonly [K, V])[]> {
    const iterator = this.#handle.iterate();
    for (let chunk = iterator.next(CHUNK); chunk !== undefined; chunk = iterator.next(CHUNK)) {
      const values = this.#value.decodeMany(chunk.values, chunk.count);
      yield this.#key.decodeMany(chunk.keys, chunk.count).map((key, index) => [key, values[index] as V] as const);
    }
  }
}

/** Opens a pinned map and reads it with its own BTF, so that a map of another version is shown as it is. */
export function openPinnedMap<K = unknown, V = unknown>(native: Native, path: string): KernelMap<K, V> {
  const handle = native.openPinnedMap(path);
  const { name, keyTypeId, valueTypeId } = handle.info;
  const bytes = handle.btf();
  if (bytes.length === 0 || valueTypeId === 0) {
    handle.close();
    throw new BpfError(`cannot read map ${name} at ${path}: it has no BTF, so its layout is unknown`);
  }
  return new KernelMap<K, V>({ handle, btf: parseBtf(bytes), keyTypeId, valueTypeId, cpus: native.possibleCpus });
}

/** enum bpf_map_type: PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE. */
const PER_CPU_TYPES: ReadonlySet<number> = new Set([5, 6, 10, 21]);

export function isPerCpu({ type }: MapInfo): boolean {
  return PER_CPU_TYPES.has(type);
}

/** The kernel gives every CPU's value a multiple of 8 bytes. */
function perCpuCodec<T>(value: Codec<T>, cpus: number): Codec<T[]> {
  const stride = (value.size + 7) & ~7;
  const size = stride * cpus;
  const codec: Codec<T[]> = {
    size,
    decode: (bytes, offset = 0) => value.decodeMany(bytes.subarray(offset), cpus, stride),
    decodeMany: (bytes, count, step = size) => Array.from({ length: count }, (_, i) => codec.decode(bytes, i * step)),
    encode(values) {
      const bytes = Buffer.alloc(size);
      codec.encodeInto(values, bytes, 0);
      return bytes;
    },
    encodeInto(values, bytes, offset) {
      if (values.length !== cpus)
        throw new RangeError(`${values.length} values instead of one for each of ${cpus} CPUs`);
      bytes.fill(0, offset, offset + size);
      values.forEach((item, cpu) => {
        value.encodeInto(item, bytes, offset + cpu * stride);
      });
    },
  };
  return codec;
}
