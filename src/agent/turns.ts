// Tasks that concern one thing take turns; those of different things do not wait for each other.

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs the task when the earlier ones of the same name have ended, well or badly. */
  take<T>(name: string, task: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(task);
    const ended: Promise<void> = turn.catch(() => undefined).then(() => this.#leave(name, ended));
    this.#last.set(name, ended);
    return turn;
  }

  /** Resolves when nobody has a turn, nor waits for one. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }

  #leave(name: string, ended: Promise<unknown>): void {
    if (this.#last.get(name) === ended) this.#last.delete(name);
  }
}
