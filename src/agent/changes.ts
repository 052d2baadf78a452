// Changes of Services and EndpointSlices that wait to be put in force: how many, since when, and what caused them.
import type { Trigger } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';

/** Changes that are put in force together. */
export interface ChangeBatch {
  readonly services: number;
  readonly slices: number;
  readonly triggers: readonly Trigger[];
  /** Milliseconds of the clock: when the oldest was seen; undefined when there is none. */
  readonly since: number | undefined;
}

const NONE: ChangeBatch = { services: 0, slices: 0, triggers: [], since: undefined };

export class Changes {
  readonly #clock: () => number;
  readonly #started: number;
  #before: Snapshot | undefined;
  #waiting = NONE;
  /** What the reconcile that runs, or failed last, is about. */
  #underway = NONE;

  /** `clock`: milliseconds of the epoch. */
  constructor(clock: () => number) {
    this.#clock = clock;
    this.#started = clock();
  }

  get pending(): ChangeBatch {
    return join(this.#underway, this.#waiting);
  }

  /** A snapshot was delivered. Returns what is new in it; something always waits then, be it of other objects. */
  queue(snapshot: Snapshot): ChangeBatch {
    const before = this.#before;
    this.#before = snapshot;
    const batch: ChangeBatch = {
      services: countChanges(before?.services, snapshot.services),
      slices: countChanges(before?.slices, snapshot.slices),
      triggers: this.#triggers(before?.slices, snapshot.slices),
      since: this.#clock(),
    };
    this.#waiting = join(this.#waiting, batch);
    return batch;
  }

  /** A reconcile begins with the newest snapshot. */
  begin(): void {
    this.#underway = this.pending;
    this.#waiting = NONE;
  }

  /** It has put everything in force. Returns what that was. */
  finish(): ChangeBatch {
    const done = this.#underway;
    this.#underway = NONE;
    return done;
  }

  /** Changes from before our start say how long we were away, and nothing of how long it takes. */
  #triggers(before: Snapshot['slices'] | undefined, now: Snapshot['slices']): Trigger[] {
    if (before === now) return [];
    return [...now].flatMap(([name, { trigger }]) => {
      const isNew = trigger !== undefined && trigger.time !== before?.get(name)?.trigger?.time;
      return isNew && trigger.time >= this.#started ? [trigger] : [];
    });
  }
}

function join(a: ChangeBatch, b: ChangeBatch): ChangeBatch {
  return {
    services: a.services + b.services,
    slices: a.slices + b.slices,
    triggers: [...a.triggers, ...b.triggers],
    since: a.since ?? b.since,
  };
}

/** Objects that are new, others than before, or gone. */
function countChanges<T>(before: ReadonlyMap<string, T> | undefined, now: ReadonlyMap<string, T>): number {
  if (before === now) return 0;
  let [changed, common] = [0, 0];
  for (const [name, object] of now) {
    const former = before?.get(name);
    if (former !== undefined) common++;
    if (former !== object) changed++;
  }
  return changed + (before?.size ?? 0) - common;
}
