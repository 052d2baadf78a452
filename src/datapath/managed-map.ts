// One map and what it is known to hold.
import type { BpfMap } from '../bpf/map.js';
import { canonical, type Table, toTable } from './table.js';

/** The part of a map that is needed here; batches are one call across the addon. */
export type WritableMap<K, V> = Pick<BpfMap<K, V>, 'set' | 'delete' | 'setMany' | 'deleteMany' | 'entries'>;

/** A write that the kernel refused. */
export interface WriteFailure {
  /** Of the map. */
  readonly map: string;
  /** Canonical text of the key. */
  readonly key: string;
  readonly operation: 'set' | 'delete';
  readonly error: Error;
}

/** Entries in one call: about a millisecond, so that a large change does not hold up the event loop. */
const BATCH = 1024;

export class ManagedMap<K, V> {
  readonly name: string;
  readonly #map: WritableMap<K, V>;
  #have = new Map<string, readonly [K, V]>();

  constructor(name: string, map: WritableMap<K, V>) {
    this.name = name;
    this.#map = map;
  }

  /** What the map holds, as read by adopt and written since. */
  get have(): Table<K, V> {
    return this.#have;
  }

  /** Reads the map itself: the truth when another agent wrote it, or this one before a restart. */
  async adopt(): Promise<void> {
    const entries: (readonly [K, V])[] = [];
    for await (const entry of this.#map.entries()) entries.push(entry);
    this.#have = toTable(entries);
  }

  /** Writes entries; one that fails does not keep the others from being written. */
  async set(entries: readonly (readonly [K, V])[]): Promise<WriteFailure[]> {
    return this.#inBatches(entries, {
      many: (batch) => this.#map.setMany(batch),
      one: ([key, value]) => this.#map.set(key, value),
      done: (entry) => this.#have.set(canonical(entry[0]), entry),
      failed: ([key], error) => this.#failure('set', key, error),
    });
  }

  async delete(keys: readonly K[]): Promise<WriteFailure[]> {
    return this.#inBatches(keys, {
      many: (batch) => this.#map.deleteMany(batch),
      one: (key) => this.#map.delete(key),
      done: (key) => this.#have.delete(canonical(key)),
      failed: (key, error) => this.#failure('delete', key, error),
    });
  }

  /** A batch that fails has been written up to an unknown point: its items are written again one by one. */
  async #inBatches<T>(items: readonly T[], write: BatchWrite<T>): Promise<WriteFailure[]> {
    const failures: WriteFailure[] = [];
    for (let start = 0; start < items.length; start += BATCH) {
      const batch = items.slice(start, start + BATCH);
      if (start > 0) await new Promise(setImmediate);
      try {
        write.many(batch);
        batch.forEach(write.done);
      } catch {
        failures.push(...batch.flatMap((item) => writeOne(item, write) ?? []));
      }
    }
    return failures;
  }

  #failure(operation: WriteFailure['operation'], key: K, error: Error): WriteFailure {
    return { map: this.name, key: canonical(key), operation, error };
  }
}

interface BatchWrite<T> {
  many(batch: readonly T[]): void;
  one(item: T): void;
  done(item: T): void;
  failed(item: T, error: Error): WriteFailure;
}

function writeOne<T>(item: T, { one, done, failed }: BatchWrite<T>): WriteFailure | undefined {
  try {
    one(item);
  } catch (error) {
    return failed(item, error as Error);
  }
  done(item);
  return undefined;
}
