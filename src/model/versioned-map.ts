// A map of which every change makes a new version, at the cost of what changes and not of what there is.

/** How an older version differs from the one after it: what its keys had, undefined where it had none. */
interface Newer<K, V extends object> {
  readonly version: VersionedMap<K, V>;
  readonly undo: ReadonlyMap<K, V | undefined>;
}

/**
 * No version ever changes for its reader. The newest one has the entries, and is as fast as a Map; an older one finds
 * single entries by what has changed since, and makes a copy when all of them are asked for.
 */
export class VersionedMap<K, V extends object> implements ReadonlyMap<K, V> {
  readonly size: number;
  #entries: Map<K, V> | undefined;
  #newer: Newer<K, V> | undefined;

  /** Takes the entries over: nobody else may write to them. */
  constructor(entries: Map<K, V>) {
    this.#entries = entries;
    this.size = entries.size;
  }

  /** That map itself, or one with its entries. */
  static of<K, V extends object>(map: ReadonlyMap<K, V>): VersionedMap<K, V> {
    return map instanceof VersionedMap ? map : new VersionedMap(new Map(map));
  }

  /** A version with these values in place of those that the keys have; undefined removes. */
  with(changes: Iterable<readonly [K, V | undefined]>): VersionedMap<K, V> {
    const newest = this.#newer === undefined && this.#entries !== undefined;
    const entries = newest ? (this.#entries as Map<K, V>) : new Map(this.#all());
    const undo = new Map<K, V | undefined>();
    for (const [key, value] of changes) {
      if (!undo.has(key)) undo.set(key, entries.get(key));
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
    const version = new VersionedMap(entries);
    if (newest) {
      this.#entries = undefined;
      this.#newer = { version, undo };
    }
    return version;
  }

  /** The keys that may have another value than in an older version; undefined when this was not made from that. */
  changedSince(older: ReadonlyMap<K, V>): ReadonlySet<K> | undefined {
    const keys = new Set<K>();
    let version: VersionedMap<K, V> | undefined = older instanceof VersionedMap ? older : undefined;
    while (version !== undefined && version !== this) {
      for (const key of version.#newer?.undo.keys() ?? []) keys.add(key);
      version = version.#newer?.version;
    }
    return version === this ? keys : undefined;
  }

  get(key: K): V | undefined {
    let version: VersionedMap<K, V> = this;
    while (version.#entries === undefined && version.#newer !== undefined) {
      if (version.#newer.undo.has(key)) return version.#newer.undo.get(key);
      version = version.#newer.version;
    }
    return version.#entries?.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.#all()) visit(value, key, this);
  }

  entries(): MapIterator<[K, V]> {
    return this.#all().entries();
  }

  keys(): MapIterator<K> {
    return this.#all().keys();
  }

  values(): MapIterator<V> {
    return this.#all().values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  #all(): Map<K, V> {
    this.#entries ??= this.#copy();
    return this.#entries;
  }

  /** Of the next version that has entries, with what changed in between undone, the latest first. */
  #copy(): Map<K, V> {
    const undone: ReadonlyMap<K, V | undefined>[] = [];
    let version: VersionedMap<K, V> = this;
    while (version.#entries === undefined && version.#newer !== undefined) {
      undone.push(version.#newer.undo);
      version = version.#newer.version;
    }
    const entries = new Map(version.#entries);
    for (const [key, value] of undone.reverse().flatMap((undo) => [...undo])) {
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
    return entries;
  }
}
