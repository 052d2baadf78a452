// What the kernel counts of the flow table, as the model has it.
import type { FlowCount, FlowTable } from '../model/flow-table.js';
import type { FlowCount as FlowCountEntry, FlowTotal } from './types.gen.js';

export interface FlowTableEntries {
  readonly total: FlowTotal | undefined;
  readonly counts: Iterable<readonly [ifindex: number, count: FlowCountEntry]>;
  readonly maxEntries: number;
}

export function viewFlowTable({ total, counts, maxEntries }: FlowTableEntries): FlowTable {
  const viewed = [...counts].map(([ifindex, count]) => [ifindex, viewCount(count)] as const);
  return { entries: positive(total?.entries ?? 0), maxEntries, counts: new Map(viewed) };
}

function viewCount({ open, unanswered, closed, refused }: FlowCountEntry): FlowCount {
  return { open: positive(open), unanswered: positive(unanswered), closed: positive(closed), refused };
}

/** Two CPUs may count one flow's end before its begin: for a moment that is less than nothing. */
function positive(count: number): number {
  return Math.max(0, count | 0);
}
