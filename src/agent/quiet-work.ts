// What can wait until nobody asks for anything: done bit by bit, never while a request is carried out.

export interface QuietWorkOptions {
  /** Does one bit, some milliseconds; whether there was one to do. What it throws is tried again. */
  readonly step: () => boolean;
  /** All is done that was begun. */
  readonly onDone: () => void;
  readonly onRefused: (reason: string) => void;
}

/** Milliseconds after the last request in which nothing is done: who adds one pod often adds another. */
const QUIET = 250;
/** Milliseconds between two bits: each may hold up whoever else changes the machine's network. */
const GAP = 25;
/** Milliseconds until what failed is tried again. */
const RETRY = 10_000;

export class QuietWork {
  readonly #options: QuietWorkOptions;
  #closed = false;
  #requests = 0;
  #steps = 0;
  #refusal = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: QuietWorkOptions) {
    this.#options = options;
  }

  /** Carries out a request: nothing is done as long as it lasts, nor shortly after. */
  async beside<T>(request: () => Promise<T>): Promise<T> {
    this.#requests++;
    clearTimeout(this.#timer);
    try {
      return await request();
    } finally {
      this.#requests--;
      this.#schedule(QUIET);
    }
  }

  /** For ever. What is not done stays undone. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#requests > 0) return;
    this.#timer = setTimeout(() => this.#work(), milliseconds).unref();
  }

  #work(): void {
    try {
      if (this.#options.step()) this.#goOn();
      else this.#end();
    } catch (error) {
      this.#refuse((error as Error).message);
      this.#schedule(RETRY);
    }
  }

  #goOn(): void {
    this.#steps++;
    this.#refusal = '';
    this.#schedule(GAP);
  }

  #end(): void {
    if (this.#steps === 0) return;
    this.#steps = 0;
    this.#options.onDone();
  }

  /** Once for as long as it stays the same. */
  #refuse(reason: string): void {
    if (reason === this.#refusal) return;
    this.#refusal = reason;
    this.#options.onRefused(reason);
  }
}
