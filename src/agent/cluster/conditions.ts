// What the status of our own kinds says. Pure.
import type { Problem } from '../../model/snapshot.js';
import type { OwnObject } from '../../source/kubernetes/observed.js';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

const ACCEPTED = 'Accepted';

export interface ConditionInput {
  readonly own: OwnObject;
  /** Of this object. */
  readonly problems: readonly Problem[];
  readonly now: Date;
}

/** All conditions that the object should have; undefined when it has them already. Those of others stay. */
export function describeConditions({ own, problems, now }: ConditionInput): readonly unknown[] | undefined {
  const before = own.conditions.find((condition) => isOf(condition, ACCEPTED)) as Partial<Condition> | undefined;
  const wanted = acceptedBy(problems);
  const same =
    before?.status === wanted.status &&
    before.reason === wanted.reason &&
    before.message === wanted.message &&
    before.observedGeneration === own.generation;
  if (same) return undefined;
  const since = before?.status === wanted.status ? before.lastTransitionTime : undefined;
  const condition: Condition = {
    ...wanted,
    observedGeneration: own.generation,
    lastTransitionTime: since ?? now.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  return [...own.conditions.filter((other) => !isOf(other, ACCEPTED)), condition];
}

function acceptedBy(problems: readonly Problem[]): Pick<Condition, 'type' | 'status' | 'reason' | 'message'> {
  if (problems.length === 0) {
    return { type: ACCEPTED, status: 'True', reason: 'Accepted', message: 'nodes put it in force' };
  }
  const message = problems.map(({ reason, inForce }) => `${reason}; in force is ${inForce}`).join('; ');
  // One word for all of them: the first one's, and the message has the others.
  return { type: ACCEPTED, status: 'False', reason: problems[0]?.code ?? 'Refused', message };
}

function isOf(condition: unknown, type: string): boolean {
  return typeof condition === 'object' && condition !== null && 'type' in condition && condition.type === type;
}
