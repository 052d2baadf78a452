// Sockets that speak to a backend or pod that is gone: their programs are told at once instead of waiting.
import type { Logger } from 'pino';
import type { Desired } from '../datapath/compile.js';
import type { Datapath } from '../datapath/datapath.js';
import { isStale, listServing, type Serving } from '../datapath/serving.js';
import type { Namespaces } from '../datapath/sockets.js';
import type { Endpoint } from '../model/endpoint.js';

export interface StaleSocketsOptions {
  readonly datapath: Pick<Datapath, 'endDatagramSockets' | 'endSocketsTo'>;
  readonly log: Logger;
  /** Pods of this node. */
  readonly endpoints: () => readonly Endpoint[];
}

export class StaleSockets {
  readonly #options: StaleSocketsOptions;
  /** What the last walk was for. */
  #walked = '';
  #pending: Promise<void> = Promise.resolve();

  constructor(options: StaleSocketsOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#pending;
  }

  /** After each change, when new sockets find the new backends already; the first time, for what an earlier agent left. */
  afterChange({ serviceList, config }: Desired): void {
    const serving = listServing(serviceList);
    const text = textOf(serving);
    if (text === this.#walked) return;
    this.#walked = text;
    const nodeAddress = config.node_address[0] ?? '';
    this.#queue('UDP sockets of removed backends ended', () =>
      this.#options.datapath.endDatagramSockets({
        namespaces: this.#namespaces(),
        isStale: (peer) => isStale(serving, peer, nodeAddress),
      }),
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

function textOf(serving: Serving): string {
  return JSON.stringify([...serving].map(([frontend, backends]) => [frontend, ...backends]));
}
