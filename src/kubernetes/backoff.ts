// How long to wait before trying again: twice as long each time, and never all of a cluster at once.

export interface BackoffOptions {
  /** Milliseconds of the first wait at most. */
  readonly initial: number;
  /** Milliseconds of any wait at most, unless the server asks for more. */
  readonly maximum: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#next = options.initial;
  }

  /** All is well: the next wait is a first one. */
  reset(): void {
    this.#next = this.#options.initial;
  }

  /** Milliseconds of the next wait: half of it at least, and what the server asked for at least. */
  next(retryAfter = 0): number {
    const bound = this.#next;
    this.#next = Math.min(bound * 2, this.#options.maximum);
    const jittered = bound / 2 + (Math.random() * bound) / 2;
    return retryAfter > 0 ? Math.max(jittered, retryAfter * (1 + Math.random() / 10)) : jittered;
  }
}
