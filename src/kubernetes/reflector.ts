// One collection of the API server, followed for ever: list in pages, watch, and list again when that is the only way.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from './api-client.js';
import { ApiError } from './api-error.js';
import { Backoff, type BackoffOptions } from './backoff.js';

/** As the API server has it, JSON parsed. */
export type RawObject = Readonly<Record<string, unknown>>;

/** Whoever keeps the collection. Nothing of an object stays in memory but what `project` returns; it must not throw. */
export interface Collection<T> {
  project(object: RawObject): T;
  /** A whole list: what is not in it is gone. */
  replace(objects: readonly T[], version: string): void;
  /** There is one like this now, or no longer. */
  put(object: T): void;
  remove(object: T): void;
  /** Everything up to this version has been delivered. */
  reached(version: string): void;
  /** The server does not know the kind (yet). */
  absent(): void;
}

export interface ReflectorOptions<T> {
  readonly client: ApiClient;
  /** E.g. `/api/v1/services`. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly collection: Collection<T>;
  /** Something went wrong that is tried again; said once until it is something else. */
  readonly onTrouble: (trouble: Trouble) => void;
  readonly onEvent?: (type: string) => void;
  readonly timing?: Partial<ReflectorTiming>;
}

export interface Trouble {
  readonly path: string;
  readonly error: Error;
}

/** Milliseconds, but for pageSize. */
export interface ReflectorTiming {
  /** Objects of one answer. */
  readonly pageSize: number;
  /** The server ends a watch after this to twice this. */
  readonly watch: number;
  /** A watch that ends sooner, and without an event, is a failure: asking again at once would be a loop. */
  readonly shortWatch: number;
  /** Bookmarks come about every minute: a connection that is silent for longer is dead. */
  readonly silence: number;
  /** Until a kind is looked for again that the server does not know. */
  readonly recheck: number;
  readonly backoff: BackoffOptions;
}

const TIMING: ReflectorTiming = {
  pageSize: 500,
  watch: 300_000,
  shortWatch: 1000,
  silence: 150_000,
  recheck: 30_000,
  backoff: { initial: 800, maximum: 30_000 },
};

interface ListPage {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly RawObject[] | null;
}

interface WatchEvent {
  readonly type: string;
  readonly object: RawObject;
}

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #timing: ReflectorTiming;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  /** Where a watch goes on; undefined when a list is needed. */
  #version: string | undefined;
  #trouble = '';
  #running: Promise<void> = Promise.resolve();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#backoff = new Backoff(this.#timing.backoff);
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Nothing is delivered after this was called. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const pause = await this.#step().catch((error: Error) => this.#failed(error));
      if (pause > 0) await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Returns how long to wait before the next step, milliseconds. */
  async #step(): Promise<number> {
    this.#version ??= await this.#list();
    if (this.#version === undefined) return jitter(this.#timing.recheck);
    await this.#watch(this.#version);
    return 0;
  }

  #failed(error: Error): number {
    const { path, onTrouble } = this.#options;
    if (this.#stop.signal.aborted) return 0;
    const api = error instanceof ApiError ? error : undefined;
    if (api?.outdated || api?.status === 404 || api?.status === 400) this.#version = undefined;
    // Being told to list again is a part of every long life.
    if (!api?.outdated && this.#trouble !== error.message) onTrouble({ path, error });
    if (!api?.outdated) this.#trouble = error.message;
    return this.#backoff.next(api?.retryAfter);
  }

  /** Resolves with the version that the list is of; undefined when the server does not know the kind. */
  async #list(): Promise<string | undefined> {
    const { collection } = this.#options;
    const objects: T[] = [];
    let page: ListPage = {};
    do {
      const next = await this.#page(page.metadata?.continue);
      if (next === undefined) {
        collection.absent();
        return undefined;
      }
      page = next;
      for (const item of page.items ?? []) objects.push(collection.project(withKind(item, page)));
    } while (page.metadata?.continue);
    this.#stop.signal.throwIfAborted();
    const version = page.metadata?.resourceVersion ?? '';
    collection.replace(objects, version);
    this.#trouble = '';
    return version;
  }

  /**
   * Without a resource version, so that the answer is never older than what was seen before. A page that has expired
   * meanwhile is an error, and the list begins anew.
   */
  async #page(next: string | undefined): Promise<ListPage | undefined> {
    const { client, path } = this.#options;
    const limit = String(this.#timing.pageSize);
    const query = { ...this.#selector(), limit, ...(next && { continue: next }) };
    try {
      return (await client.json({ path, query, signal: this.#stop.signal })) as ListPage;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #watch(version: string): Promise<void> {
    const { client, path } = this.#options;
    const { watch, shortWatch, silence } = this.#timing;
    const started = performance.now();
    const timeoutSeconds = String(Math.ceil((watch * (1 + Math.random())) / 1000));
    const query = { ...this.#selector(), watch: '1', resourceVersion: version, allowWatchBookmarks: 'true' };
    await client.stream({
      path,
      query: { ...query, timeoutSeconds },
      signal: this.#stop.signal,
      silence,
      onLine: (line) => this.#take(JSON.parse(line) as WatchEvent),
    });
    if (performance.now() - started < shortWatch && this.#version === version) {
      throw new Error('the watch ended as soon as it began');
    }
    this.#well();
  }

  #take({ type, object }: WatchEvent): void {
    const { collection, onEvent } = this.#options;
    this.#stop.signal.throwIfAborted();
    onEvent?.(type);
    if (type === 'ERROR') throw new ApiError(typeof object.code === 'number' ? object.code : 500, object);
    if (type === 'ADDED' || type === 'MODIFIED') collection.put(collection.project(object));
    else if (type === 'DELETED') collection.remove(collection.project(object));
    this.#version = versionOf(object) ?? this.#version;
    if (type === 'BOOKMARK') collection.reached(this.#version ?? '');
    this.#well();
  }

  #well(): void {
    this.#backoff.reset();
    this.#trouble = '';
  }

  #selector(): Record<string, string> {
    const { labelSelector } = this.#options;
    return labelSelector === undefined ? {} : { labelSelector };
  }
}

/** Items of a list do not say their kind. */
function withKind(item: RawObject, { kind = '', apiVersion }: ListPage): RawObject {
  return { kind: kind.replace(/List$/, ''), apiVersion, ...item };
}

function versionOf({ metadata }: RawObject): string | undefined {
  const { resourceVersion } = (metadata ?? {}) as { resourceVersion?: unknown };
  return typeof resourceVersion === 'string' ? resourceVersion : undefined;
}

function jitter(milliseconds: number): number {
  return milliseconds * (0.75 + Math.random() / 2);
}
