// Ties a lab to the process that builds it: signals end the work, and whatever ends the process removes the lab.
import { takeDown } from './down.js';
import { allNamespaces, planLab } from './plan.js';
import { startReaper } from './reaper.js';
import { LabError } from './record.js';
import { evict } from './residents.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ended by a signal; the lab has been removed. */
export class InterruptedError extends LabError {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}: the lab was taken down`);
    this.signal = signal;
  }
}

export interface OwnedWork<T> {
  readonly id: string;
  /** The lab stays when the work succeeds or fails by itself; otherwise it is removed in any case. */
  readonly keep: boolean;
  readonly work: (signal: AbortSignal) => Promise<T>;
}

/** Does the work of a lab's owner. Throws LabError when the lab could not be removed afterwards. */
export async function withOwnedLab<T>({ id, keep, work }: OwnedWork<T>): Promise<T> {
  const reaper = startReaper(id);
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupt.signal.aborted) return;
    interrupt.abort(new InterruptedError(signal));
    // What the work waits for ends at once, and the work with it.
    void evict(allNamespaces(planLab('island')));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(interrupt.signal);
  } catch (error) {
    throw interrupt.signal.aborted ? interrupt.signal.reason : error;
  } finally {
    if (!keep || interrupt.signal.aborted) await removeAll();
    for (const signal of SIGNALS) process.off(signal, onSignal);
    reaper.dismiss();
  }
}

async function removeAll(): Promise<void> {
  const left = await takeDown();
  if (left.length > 0) throw new LabError(`could not remove all of the lab: ${left.join(', ')}. Run: isthmus lab down`);
}
