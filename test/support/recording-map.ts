// A fake map that tells what is written to it and in which order; single keys can be made to fail.
import type { WritableMap } from '../../src/datapath/managed-map.js';
import type { DatapathMaps } from '../../src/datapath/reconcile.js';
import { canonical, type Table, toTable } from '../../src/datapath/table.js';
import { FakeMap, FakeMapError } from './fake-map.js';

export type RecordingMaps = {
  [Name in keyof DatapathMaps]: DatapathMaps[Name] extends WritableMap<infer K, infer V> ? RecordingMap<K, V> : never;
};

/** All maps that the agent writes; `onWrite` is told of every write. */
export function recordingMaps(onWrite?: (write: string) => void): RecordingMaps {
  return {
    endpoints: new RecordingMap('endpoints', onWrite),
    routes: new RecordingMap('routes', onWrite),
    services: new RecordingMap('services', onWrite),
    backends: new RecordingMap('backends', onWrite),
    maglev: new RecordingMap('maglev', onWrite),
    source_ranges: new RecordingMap('source_ranges', onWrite),
    serving: new RecordingMap('serving', onWrite),
    direct_backends: new RecordingMap('direct_backends', onWrite),
  };
}

export class RecordingMap<K, V> extends FakeMap<K, V> {
  /** Canonical texts of keys that the map refuses. */
  readonly refused = new Set<string>();
  readonly #onWrite: (write: string) => void;

  /** `onWrite` is told of every write after it was done, e.g. `routes delete <key>`. */
  constructor(name: string, onWrite: (write: string) => void = () => undefined) {
    super({ name });
    this.#onWrite = onWrite;
  }

  get contents(): Table<K, V> {
    return toTable(this.scan());
  }

  override set(key: K, value: V): void {
    this.#check(key, 'bpf_map_update_elem');
    super.set(key, value);
    this.#onWrite(`${this.name} set ${canonical(key)}`);
  }

  override delete(key: K): boolean {
    this.#check(key, 'bpf_map_delete_elem');
    const existed = super.delete(key);
    this.#onWrite(`${this.name} delete ${canonical(key)}`);
    return existed;
  }

  #check(key: K, operation: string): void {
    if (this.refused.has(canonical(key))) throw new FakeMapError(operation, 'ENOMEM', 12);
  }
}
