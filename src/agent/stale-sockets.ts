// Sockets that speak to a backend or pod that is gone: their programs are told at once instead of waiting.
import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { Namespaces } from '../datapath/sockets.js';
import type { Endpoint } from '../model/endpoint.js';

export interface StaleSocketsOptions {
  readonly datapath: Pick<Datapath, 'endStaleSockets' | 'endSocketsTo'>;
  readonly log: Logger;
  /** Pods of this node. */
  readonly endpoints: () => readonly Endpoint[];
}

export class StaleSockets {
  readonly #options: StaleSocketsOptions;
  #pending: Promise<void> = Promise.resolve();

  constructor(options: StaleSocketsOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#pending;
  }

  /** After new backends are in force: a program that connects again finds one of them. */
  afterChange(): void {
    this.#queue('UDP sockets of removed backends ended', () =>
      this.#options.datapath.endStaleSockets(this.#namespaces()),
    );
  }

  /** Whoever on this node speaks to the pod. */
  afterRemoval({ addresses }: Endpoint): void {
    this.#queue('sockets to a removed pod ended', () =>
      this.#options.datapath.endSocketsTo({ namespaces: this.#namespaces(), addresses }),
    );
  }

  /** One walk at a time; none holds up what caused it. */
  #queue(what: string, walk: () => Promise<number>): void {
    const { log } = this.#options;
    this.#pending = this.#pending
      .then(walk)
      .then((sockets) => {
        if (sockets > 0) log.info({ sockets }, what);
      })
      .catch((error: Error) => {
        log.warn({ err: error }, 'sockets to what is gone could not be ended; they wait for their own timeouts');
      });
  }

  #namespaces(): Namespaces {
    return [undefined, ...this.#options.endpoints().map(({ netns }) => netns)];
  }
}
