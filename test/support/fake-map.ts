// A map in memory that behaves as the kernel's hash map does: for tests without privileges.
import type { BpfMap } from '../../src/bpf/map.js';

export interface FakeMapOptions {
  readonly name?: string;
  readonly maxEntries?: number;
}

/** Shaped as NativeError, so that code under test sees what it would see. */
export class FakeMapError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly operation: string;

  constructor(operation: string, code: string, errno: number) {
    super(`${operation}: refused (${code})`);
    this.code = code;
    this.errno = errno;
    this.operation = operation;
  }
}

export class FakeMap<K, V> implements BpfMap<K, V> {
  readonly name: string;
  readonly #maxEntries: number;
  readonly #entries = new Map<string, readonly [K, V]>();
  #closed = false;

  constructor({ name = 'fake', maxEntries = 1 << 20 }: FakeMapOptions = {}) {
    this.name = name;
    this.#maxEntries = maxEntries;
  }

  get(key: K): V | undefined {
    return structuredClone(this.#open('bpf_map_lookup_elem').get(textOf(key))?.[1]);
  }

  set(key: K, value: V): void {
    const entries = this.#open('bpf_map_update_elem');
    const text = textOf(key);
    if (!entries.has(text) && entries.size >= this.#maxEntries) {
      throw new FakeMapError('bpf_map_update_elem', 'E2BIG', 7);
    }
    entries.set(text, structuredClone([key, value] as const));
  }

  delete(key: K): boolean {
    return this.#open('bpf_map_delete_elem').delete(textOf(key));
  }

  setMany(entries: readonly (readonly [K, V])[]): void {
    for (const [key, value] of entries) this.set(key, value);
  }

  deleteMany(keys: readonly K[]): number {
    return keys.filter((key) => this.delete(key)).length;
  }

  async *entries(): AsyncGenerator<readonly [K, V]> {
    yield* this.scan();
  }

  *scan(): Generator<readonly [K, V]> {
    for (const entry of [...this.#open('bpf_map_lookup_batch').values()]) yield structuredClone(entry);
  }

  close(): void {
    this.#closed = true;
  }

  #open(operation: string): Map<string, readonly [K, V]> {
    if (this.#closed) throw new FakeMapError(operation, 'EBADF', 9);
    return this.#entries;
  }
}

/** Equal keys have equal text, in whatever order their fields were written. */
function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${typeof value}:${String(value)}`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${name}=${textOf(field)}`).join()}}`;
}
