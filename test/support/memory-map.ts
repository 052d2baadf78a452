// A map in memory for tests of what is written where, and in which order; single keys can be made to fail.
import type { BpfMap } from '../../src/bpf/map.js';
import { canonical } from '../../src/datapath/table.js';

export class MemoryMap<K, V> implements BpfMap<K, V> {
  readonly contents = new Map<string, readonly [K, V]>();
  /** Canonical texts of keys that the map refuses. */
  readonly refused = new Set<string>();
  readonly name: string;
  readonly #onWrite: (write: string) => void;

  /** `onWrite` is told of every write after it was done, e.g. `routes delete <key>`. */
  constructor(name: string, onWrite: (write: string) => void = () => undefined) {
    this.name = name;
    this.#onWrite = onWrite;
  }

  get(key: K): V | undefined {
    return this.contents.get(canonical(key))?.[1];
  }

  set(key: K, value: V): void {
    this.#check(key);
    this.contents.set(canonical(key), [key, value]);
    this.#onWrite(`${this.name} set ${canonical(key)}`);
  }

  delete(key: K): boolean {
    this.#check(key);
    const existed = this.contents.delete(canonical(key));
    this.#onWrite(`${this.name} delete ${canonical(key)}`);
    return existed;
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
    yield* [...this.contents.values()];
  }

  close(): void {}

  #check(key: K): void {
    if (this.refused.has(canonical(key))) throw new Error('no space left on device');
  }
}
