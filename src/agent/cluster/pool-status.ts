// What the status of a PodPool says beside its conditions: which node has which blocks. Pure.
import { type Assignment, assignBlocks } from '../../model/pod-pool.js';
import type { Snapshot } from '../../model/snapshot.js';
import { splitName } from '../../source/kubernetes/object-path.js';

export interface PoolStatus {
  /** That have blocks. */
  readonly nodes: number;
  readonly assignments: readonly Assignment[];
}

/** undefined when there is nothing to give, or the object is no PodPool that is in force. */
export function describePool(object: string, { nodes, podPools: pools, problems }: Snapshot): PoolStatus | undefined {
  const { kind, name } = splitName(object);
  const pool = kind === 'PodPool' ? pools.get(name) : undefined;
  if (pool === undefined) return undefined;
  const refused = new Set(
    problems.map((problem) => splitName(problem.object)).flatMap((one) => (one.kind === 'Node' ? one.name : [])),
  );
  const { assignments } = assignBlocks(pool, { nodes, pools, refused });
  return assignments === pool.assignments ? undefined : { nodes: assignments.length, assignments };
}
