// A fake map that tells what is written to it and in which order; single keys can be made to fail.
import { canonical, type Table, toTable } from '../../src/datapath/table.js';
import { FakeMap, FakeMapError } from './fake-map.js';

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
