// The objects of one kind as they are known now: the newest of each, and the last good state of what was refused.
import { isDeepStrictEqual } from 'node:util';
import type { Problem } from '../../model/snapshot.js';
import { VersionedMap } from '../../model/versioned-map.js';
import type { Converted } from '../convert.js';
import type { Kind } from '../kinds.js';
import type { Observed, OwnObject } from './observed.js';

type ModelObject = Converted['object'];

interface Entry {
  readonly version: string;
  /** The last good state. */
  readonly object: ModelObject | undefined;
  readonly reason: string | undefined;
  readonly own: OwnObject | undefined;
}

export class KindStore {
  readonly kind: Kind;
  readonly #entries = new Map<string, Entry>();
  /** Versions of objects that are gone, until no older event of them can come. */
  readonly #removed = new Map<string, string>();
  readonly #refused = new Map<string, Problem>();
  /** What the objects have become since the map was made. */
  readonly #changes = new Map<string, ModelObject | undefined>();
  #objects: VersionedMap<string, ModelObject> = new VersionedMap(new Map());
  #problems: readonly Problem[] | undefined = [];

  constructor(kind: Kind) {
    this.kind = kind;
  }

  /** Objects that are not refused, by key; the same map while they are the same. */
  get objects(): ReadonlyMap<string, ModelObject> {
    if (this.#changes.size > 0) this.#objects = this.#objects.with(this.#changes);
    this.#changes.clear();
    return this.#objects;
  }

  /** In the order of their names; the same array while they are the same. */
  get problems(): readonly Problem[] {
    this.#problems ??= [...this.#refused.values()].sort((a, b) => (a.object < b.object ? -1 : 1));
    return this.#problems;
  }

  /** Objects of our own kinds, by key. */
  *own(): IterableIterator<readonly [string, OwnObject]> {
    for (const [key, { own }] of this.#entries) if (own !== undefined) yield [key, own];
  }

  /** A list is the truth, also when its versions are older: the server was restored from a backup. */
  replace(listed: readonly Observed[]): boolean {
    const keys = new Set(listed.map(({ key }) => key));
    const gone = [...this.#entries.keys()].filter((key) => !keys.has(key));
    this.#removed.clear();
    const dropped = gone.filter((key) => this.#drop(key)).length;
    const changed = listed.filter((observed) => this.#keep(observed)).length;
    return dropped + changed > 0;
  }

  /** Whether anything is other than before. An older state of an object than the known one is no news. */
  put(observed: Observed): boolean {
    if (!this.#isNews(observed)) return false;
    this.#removed.delete(observed.key);
    return this.#keep(observed);
  }

  remove({ key, version }: Observed): boolean {
    const known = this.#entries.get(key)?.version ?? this.#removed.get(key);
    if (known !== undefined && isOlder(version, known)) return false;
    this.#removed.set(key, version);
    return this.#drop(key);
  }

  /** No event from before this comes any more. */
  forgetRemoved(): void {
    this.#removed.clear();
  }

  #isNews({ key, version }: Observed): boolean {
    const known = this.#entries.get(key)?.version ?? this.#removed.get(key);
    return known === undefined || isOlder(known, version);
  }

  #keep(observed: Observed): boolean {
    const { key, version, object, reason, own } = observed;
    const before = this.#entries.get(key);
    // The same content is the same object: whoever compares sees at once that nothing changed.
    const wanted = reason !== undefined || isDeepStrictEqual(object, before?.object) ? before?.object : object;
    this.#entries.set(key, { version, object: wanted, reason, own });
    const refusedAnew = this.#refuse(observed, wanted !== undefined);
    if (wanted === before?.object) return refusedAnew;
    this.#changes.set(key, wanted);
    return true;
  }

  #drop(key: string): boolean {
    const before = this.#entries.get(key);
    if (before === undefined) return false;
    this.#entries.delete(key);
    const wasRefused = this.#refuse({ key, reason: undefined }, false);
    if (before.object !== undefined) this.#changes.set(key, undefined);
    return before.object !== undefined || wasRefused;
  }

  /** Whether its problem is another one now. */
  #refuse({ key, reason, code }: Pick<Observed, 'key' | 'reason' | 'code'>, kept: boolean): boolean {
    if (this.#refused.get(key)?.reason === reason) return false;
    const object = `${this.kind} ${key}`;
    const inForce = kept ? `the last good state of ${object}` : 'nothing of it';
    if (reason === undefined) this.#refused.delete(key);
    else this.#refused.set(key, { where: object, object, reason, ...(code && { code }), inForce });
    this.#problems = undefined;
    return true;
  }
}

/** Versions of one collection are numbers that grow; what is none is never older. */
function isOlder(a: string, b: string): boolean {
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return a !== b;
  return a.length === b.length ? a < b : a.length < b.length;
}
