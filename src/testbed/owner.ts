// Ties what is built to the process that builds it: signals end the work, and whatever ends the process removes it.
import { TestbedError } from './error.js';
import { startReaper } from './reaper.js';
import { evict } from './residents.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ended by a signal; what was built has been removed. */
export class InterruptedError extends TestbedError {
  readonly signal: NodeJS.Signals;

  constructor(what: string, signal: NodeJS.Signals) {
    super(`interrupted by ${signal}: the ${what} was taken down`);
    this.signal = signal;
  }
}

export interface Owned<T> {
  /** For people: `lab`. */
  readonly what: string;
  /** Arguments of the `isthmus` that removes it when we die. */
  readonly reaper: readonly string[];
  /** Its network namespaces. */
  readonly namespaces: readonly string[];
  /** It stays when the work succeeds or fails by itself; otherwise it is removed in any case. */
  readonly keep: boolean;
  /** Removes it and returns what stayed. */
  readonly takeDown: () => Promise<readonly string[]>;
  readonly work: (signal: AbortSignal) => Promise<T>;
}

/** Does the work of an owner. Throws TestbedError when something could not be removed afterwards. */
export async function withOwned<T>({ what, reaper, namespaces, keep, takeDown, work }: Owned<T>): Promise<T> {
  const guard = startReaper(reaper);
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupt.signal.aborted) return;
    interrupt.abort(new InterruptedError(what, signal));
    // What the work waits for ends at once, and the work with it.
    void evict(namespaces);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const outcome = await settle(work(interrupt.signal));
  const left = !keep || interrupt.signal.aborted ? await takeDown() : [];
  for (const signal of SIGNALS) process.off(signal, onSignal);
  // Not dismissed, the reaper tries once more.
  if (left.length > 0) throw new TestbedError(`could not remove all of the ${what}: ${left.join(', ')} stayed`);
  guard.dismiss();
  interrupt.signal.throwIfAborted();
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

function settle<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}
