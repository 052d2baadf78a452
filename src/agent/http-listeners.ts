// What the node answers by HTTP to others: listeners that come and go with what is wanted.
import { createServer, type RequestListener, type Server } from 'node:http';
import { listenText } from './listen-address.js';

export interface Listener {
  /** What it is for, as problems name it: `the health check of Service shop/web`. */
  readonly object: string;
  /** '' is all addresses, of both families. */
  readonly host: string;
  readonly port: number;
  readonly answer: RequestListener;
}

/** A port that could not be had. */
export interface ListenFailure {
  readonly object: string;
  /** `0.0.0.0:10256` */
  readonly address: string;
  /** A sentence with its cause. */
  readonly reason: string;
}

interface OpenListener {
  readonly server: Server;
  /** The newest of this name: what it answers may change while the port stays open. */
  wanted: Listener;
}

/** Milliseconds for a whole request, and connections at a time: whoever holds one open keeps nobody else away. */
const REQUEST_TIMEOUT = 10_000;
const CONNECTIONS_MAX = 1024;

export class HttpListeners {
  readonly #open = new Map<string, OpenListener>();
  #failures: readonly ListenFailure[] = [];

  /** Of the last apply. */
  get failures(): readonly ListenFailure[] {
    return this.#failures;
  }

  /**
   * Closes what is not wanted any more, with its connections, then opens what is new. One that cannot be opened is a
   * failure, keeps no other from being opened, and is tried again by the next call. Not to be called during another.
   */
  async apply(wanted: readonly Listener[]): Promise<void> {
    const byName = new Map(wanted.map((listener) => [nameOf(listener), listener]));
    const unwanted = [...this.#open.keys()].filter((name) => !byName.has(name));
    await Promise.all(unwanted.map((name) => this.#close(name)));
    const opened = await Promise.all(Array.from(byName, ([name, listener]) => this.#keep(name, listener)));
    this.#failures = opened.filter((failure) => failure !== undefined);
  }

  async close(): Promise<void> {
    await this.apply([]);
  }

  async #keep(name: string, listener: Listener): Promise<ListenFailure | undefined> {
    const open = this.#open.get(name);
    if (open !== undefined) {
      open.wanted = listener;
      return undefined;
    }
    try {
      this.#open.set(name, await openListener(listener));
    } catch (error) {
      return describeFailure(listener, error as Error);
    }
    return undefined;
  }

  async #close(name: string): Promise<void> {
    const server = this.#open.get(name)?.server;
    this.#open.delete(name);
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}

async function openListener(wanted: Listener): Promise<OpenListener> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT, headersTimeout: REQUEST_TIMEOUT });
  server.maxConnections = CONNECTIONS_MAX;
  const open = { server, wanted };
  server.on('request', (request, response) => open.wanted.answer(request, response));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Stays: a connection that cannot be accepted later on (no descriptors) must not end the agent.
  server.on('error', reject);
  server.listen({ port: wanted.port, ...(wanted.host === '' ? {} : { host: wanted.host }) }, resolve);
  await promise;
  return open;
}

function describeFailure({ object, host, port }: Listener, { message }: Error): ListenFailure {
  return { object, address: listenText({ host, port }), reason: `cannot listen: ${message}` };
}

function nameOf({ object, host, port }: Listener): string {
  return `${object} ${host} ${port}`;
}
