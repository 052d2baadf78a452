// An API server of a few collections over HTTP, with the faults of a real one on request.

import type { RequestOptions } from 'node:http';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Connection } from '../../src/kubernetes/connection.js';

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface WatchLine {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: object;
}

/** Answers a request in place of the collection; returns false to leave it to that. */
export type Fault = (url: URL, response: ServerResponse, request: IncomingMessage) => boolean;

interface Collection {
  readonly kind: string;
  readonly apiVersion: string;
  readonly objects: Map<string, FakeObject>;
  readonly watches: Set<ServerResponse>;
  /** What lists that are read page by page are of, by their version. */
  readonly pages: Map<string, readonly FakeObject[]>;
}

export class FakeApiServer implements AsyncDisposable {
  /** Asked first, the newest first; one that answers once removes itself. */
  readonly faults: Fault[] = [];
  /** `GET /api/v1/nodes?limit=2`, in order. */
  readonly requests: string[] = [];
  readonly tokens: (string | undefined)[] = [];
  readonly #server: Server;
  readonly #collections = new Map<string, Collection>();
  /** Events of a path since its history began. */
  readonly #history: { readonly path: string; readonly version: number; readonly line: WatchLine }[] = [];
  #version = 100;
  /** Watches from before this are told that they are gone. */
  #compacted = 0;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(port = 0): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await new Promise<void>((resolve) => fake.#server.listen(port, '127.0.0.1', resolve));
    return fake;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  get version(): number {
    return this.#version;
  }

  connection(authorize: () => Promise<RequestOptions> = async () => ({})): Connection & { renewed: number } {
    const connection = {
      server: this.url,
      namespace: undefined,
      authorize,
      renewed: 0,
      renew() {
        connection.renewed++;
      },
    };
    return connection;
  }

  serve(path: string, kind: string, apiVersion: string): void {
    this.#collections.set(path, { kind, apiVersion, objects: new Map(), watches: new Set(), pages: new Map() });
  }

  put(path: string, object: FakeObject): void {
    const { objects, kind, apiVersion } = this.#collection(path);
    const key = keyOf(object);
    const stored = this.#stamp(object);
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    objects.set(key, stored);
    this.#tell(path, { type, object: { kind, apiVersion, ...stored } });
  }

  remove(path: string, key: string): void {
    const { objects, kind, apiVersion } = this.#collection(path);
    const object = objects.get(key);
    if (object === undefined) return;
    objects.delete(key);
    this.#tell(path, { type: 'DELETED', object: { kind, apiVersion, ...this.#stamp(object) } });
  }

  bookmark(path: string): void {
    const { kind, apiVersion } = this.#collection(path);
    const object = { kind, apiVersion, metadata: { resourceVersion: String(this.#version) } };
    this.send(path, { type: 'BOOKMARK', object });
  }

  /** To those who watch now. */
  send(path: string, line: WatchLine | string): void {
    const text = typeof line === 'string' ? line : `${JSON.stringify(line)}\n`;
    for (const watch of this.#collection(path).watches) watch.write(text);
  }

  /** Watches from before now will be told that they are gone. */
  compact(): void {
    this.#version++;
    this.#compacted = this.#version;
  }

  /** Breaks the watches of a collection; `end`: politely. */
  drop(path: string, end = false): void {
    const { watches } = this.#collection(path);
    for (const watch of watches) {
      if (end) watch.end();
      else watch.destroy();
    }
    watches.clear(); // they close later, and are no longer to be written to
  }

  watchers(path: string): number {
    return this.#collection(path).watches.size;
  }

  /** A fault that answers one request and is gone. */
  once(fault: Fault): void {
    const single: Fault = (...args) => {
      if (!fault(...args)) return false;
      this.faults.splice(this.faults.indexOf(single), 1);
      return true;
    };
    this.faults.unshift(single);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #collection(path: string): Collection {
    const collection = this.#collections.get(path);
    if (collection === undefined) throw new Error(`no collection ${path}`);
    return collection;
  }

  #stamp(object: FakeObject): FakeObject {
    this.#version++;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
  }

  #tell(path: string, line: WatchLine): void {
    this.#history.push({ path, version: this.#version, line });
    this.send(path, line);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url);
    this.requests.push(`${request.method} ${decodeURIComponent(request.url ?? '')}`);
    this.tokens.push(request.headers.authorization);
    if (this.faults.some((fault) => fault(url, response, request))) return;
    const collection = this.#collections.get(url.pathname);
    if (collection === undefined) sendStatus(response, 404, { message: 'the server could not find it' });
    else if (url.searchParams.get('watch')) this.#watch(url, collection, response);
    else this.#list(url, collection, response);
  }

  #list(url: URL, { kind, apiVersion, objects, pages }: Collection, response: ServerResponse): void {
    const limit = Number(url.searchParams.get('limit') ?? 0);
    const [version = String(this.#version), offset = '0'] = url.searchParams.get('continue')?.split(':') ?? [];
    // All pages of a list are of one moment, whatever has changed between them.
    const all = pages.get(version) ?? [...objects.values()];
    const end = limit === 0 ? all.length : Number(offset) + limit;
    const more = end < all.length ? { continue: `${version}:${end}` } : {};
    const metadata = { resourceVersion: version, ...more };
    if (end < all.length) pages.set(version, all);
    const items = all.slice(Number(offset), end);
    response.end(JSON.stringify({ kind: `${kind}List`, apiVersion, metadata, items }));
  }

  #watch(url: URL, { watches }: Collection, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.#compacted) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    for (const { path, version, line } of this.#history) {
      if (path === url.pathname && version > from) response.write(`${JSON.stringify(line)}\n`);
    }
    watches.add(response);
    response.on('close', () => watches.delete(response));
  }
}

export function sendStatus(response: ServerResponse, code: number, body: object, headers = {}): void {
  response.writeHead(code, headers);
  response.end(JSON.stringify({ kind: 'Status', code, ...body }));
}

function keyOf({ metadata: { name, namespace } }: FakeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
