// What one agent says for all of them: conditions of our kinds, blocks of pools, and Events about refused objects.
import type { Logger } from 'pino';
import type { Leader } from '../../kubernetes/leader.js';
import type { Snapshot } from '../../model/snapshot.js';

export interface SpokesmanOptions {
  readonly leader: Pick<Leader, 'leading'>;
  readonly log: Pick<Logger, 'warn'>;
  /** What is to be said; each is tried, and tried again later. */
  readonly tasks: readonly ((snapshot: Snapshot) => Promise<void>)[];
  /** Milliseconds: until a change is told, and until all is looked at again. */
  readonly timing?: { readonly pause: number; readonly repeat: number };
}

const TIMING = { pause: 500, repeat: 30_000 };

export class Spokesman {
  readonly #options: SpokesmanOptions;
  #snapshot: Snapshot | undefined;
  #timer: NodeJS.Timeout | undefined;
  #speaking: Promise<void> = Promise.resolve();
  #trouble = '';
  #closed = false;

  constructor(options: SpokesmanOptions) {
    this.#options = options;
  }

  /** Something may be other than before. */
  update(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.hurry();
  }

  /** Also when the lead was taken. Changes that come one after the other are told together. */
  hurry(): void {
    this.#wait((this.#options.timing ?? TIMING).pause);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#speaking;
  }

  #wait(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#speaking = this.#speaking.then(() => this.#speak());
    }, milliseconds).unref();
  }

  async #speak(): Promise<void> {
    const { leader, tasks, timing } = this.#options;
    const snapshot = this.#snapshot;
    if (leader.leading && snapshot !== undefined) {
      const failed = await Promise.all(tasks.map((task) => task(snapshot).catch((error: Error) => error)));
      this.#note(failed.find((error) => error !== undefined));
    }
    this.#wait((timing ?? TIMING).repeat);
  }

  #note(error: Error | undefined): void {
    const reason = error?.message ?? '';
    if (reason !== '' && reason !== this.#trouble) {
      this.#options.log.warn({ reason }, 'status or Events could not be written; tried again');
    }
    this.#trouble = reason;
  }
}
