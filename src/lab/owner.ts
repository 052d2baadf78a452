// Ties a lab to the process that builds it.
import { withOwned } from '../testbed/owner.js';
import { takeDown } from './down.js';
import { allNamespaces, planLab } from './plan.js';

export interface OwnedWork<T> {
  readonly id: string;
  /** The lab stays when the work succeeds or fails by itself; otherwise it is removed in any case. */
  readonly keep: boolean;
  readonly work: (signal: AbortSignal) => Promise<T>;
}

/** Does the work of a lab's owner. Throws TestbedError when the lab could not be removed afterwards. */
export function withOwnedLab<T>({ id, keep, work }: OwnedWork<T>): Promise<T> {
  return withOwned({
    what: 'lab',
    reaper: ['lab', 'down', '--when-stdin-closes', '--lab', id],
    namespaces: allNamespaces(planLab('island')),
    keep,
    takeDown,
    work,
  });
}
