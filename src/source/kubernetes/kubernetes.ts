// The Kubernetes API as the source of the desired state.
import type { ApiClient } from '../../kubernetes/api-client.js';
import { type Collection, Reflector, type ReflectorTiming, type Trouble } from '../../kubernetes/reflector.js';
import { checkSnapshot } from '../../model/check.js';
import type { Snapshot } from '../../model/snapshot.js';
import type { Kind } from '../kinds.js';
import type { Source } from '../source.js';
import { KindStore } from './kind-store.js';
import { type Observed, type OwnObject, observe } from './observed.js';
import { RESOURCES, type Resource } from './resources.js';

export interface KubernetesSourceOptions {
  readonly client: ApiClient;
  /** A kind cannot be listed or watched now; what was known of it stays in force. */
  readonly onTrouble: (trouble: Trouble) => void;
  /** The server does not know this kind; said once. */
  readonly onAbsent: (kind: Kind) => void;
  readonly onEvent?: (kind: Kind, type: string) => void;
  readonly timing?: Partial<ReflectorTiming>;
  /** Milliseconds between two snapshots at least. */
  readonly pace?: number;
}

/** Changes that come at once are one snapshot, and the first of them does not wait. */
const PACE = 5;

export class KubernetesSource implements Source {
  readonly kind = 'kubernetes';
  readonly #options: KubernetesSourceOptions;
  readonly #stores = new Map(RESOURCES.map(({ kind }) => [kind, new KindStore(kind)]));
  readonly #reflectors: readonly Reflector<Observed>[];
  readonly #unsynced = new Set<Kind>(RESOURCES.map(({ kind }) => kind));
  readonly #absent = new Set<Kind>();
  readonly #first = Promise.withResolvers<void>();
  #onSnapshot: (snapshot: Snapshot) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #delivered = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
    this.#reflectors = RESOURCES.map((resource) => this.#reflect(resource));
  }

  /** URL of the API server. */
  get where(): string {
    return this.#options.client.server;
  }

  /** Kinds that were not listed yet. */
  get unsynced(): readonly Kind[] {
    return [...this.#unsynced];
  }

  /** How many objects of a kind are known and good. */
  count(kind: Kind): number {
    return this.#stores.get(kind)?.objects.size ?? 0;
  }

  /** Objects of our own kinds by name, such as `EgressPool web`, also those that were refused. */
  *own(): IterableIterator<readonly [string, OwnObject]> {
    for (const [kind, store] of this.#stores) for (const [key, own] of store.own()) yield [`${kind} ${key}`, own];
  }

  /** Waits for an API server that is away for as long as it takes: what is in force stays so. */
  start(onSnapshot: (snapshot: Snapshot) => void): Promise<void> {
    this.#onSnapshot = onSnapshot;
    for (const reflector of this.#reflectors) reflector.start();
    return this.#first.promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#reflectors.map((reflector) => reflector.close()));
  }

  #reflect(resource: Resource): Reflector<Observed> {
    const { client, onTrouble, onEvent, timing } = this.#options;
    const { kind, path, labelSelector } = resource;
    return new Reflector({
      client,
      path,
      collection: this.#collection(resource),
      onTrouble,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(onEvent && { onEvent: (type: string) => onEvent(kind, type) }),
      ...(timing && { timing }),
    });
  }

  #collection({ kind, custom }: Resource): Collection<Observed> {
    const store = this.#stores.get(kind) ?? new KindStore(kind);
    return {
      project: (object) => observe(kind, object),
      replace: (objects) => this.#synced(kind, store.replace(objects)),
      put: (object) => this.#changed(store.put(object)),
      remove: (object) => this.#changed(store.remove(object)),
      reached: () => store.forgetRemoved(),
      absent: () => this.#noteAbsent(kind, custom),
    };
  }

  #synced(kind: Kind, changed: boolean): void {
    this.#absent.delete(kind);
    const first = this.#unsynced.delete(kind);
    this.#changed(changed || first);
  }

  /** Without a kind of ours there are no objects of it. One of Kubernetes' own is not gone, whatever the server says. */
  #noteAbsent(kind: Kind, custom: boolean): void {
    const known = this.#absent.has(kind);
    this.#absent.add(kind);
    if (!known) this.#options.onAbsent(kind);
    if (custom && this.#unsynced.delete(kind)) this.#changed(true);
  }

  /** Nothing is delivered before every kind was listed. */
  #changed(changed: boolean): void {
    if (!changed || this.#closed || this.#unsynced.size > 0 || this.#timer !== undefined) return;
    const wait = this.#delivered + (this.#options.pace ?? PACE) - performance.now();
    // Also the first one comes a turn later: with what came in the same packet.
    this.#timer = setTimeout(() => this.#deliver(), Math.max(0, wait));
  }

  #deliver(): void {
    this.#timer = undefined;
    this.#delivered = performance.now();
    this.#onSnapshot(checkSnapshot(this.#snapshot()));
    this.#first.resolve();
  }

  #snapshot(): Snapshot {
    return {
      network: this.#objects('ClusterNetwork').get('default') as Snapshot['network'],
      nodes: this.#objects('Node') as Snapshot['nodes'],
      podPools: this.#objects('PodPool') as Snapshot['podPools'],
      egressPools: this.#objects('EgressPool') as Snapshot['egressPools'],
      services: this.#objects('Service') as Snapshot['services'],
      slices: this.#objects('EndpointSlice') as Snapshot['slices'],
      problems: [...this.#stores.values()].flatMap(({ problems }) => problems),
    };
  }

  #objects(kind: Kind): KindStore['objects'] {
    return (this.#stores.get(kind) as KindStore).objects;
  }
}
