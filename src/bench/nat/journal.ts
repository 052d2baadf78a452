// What the journal of block grants grows by, beside the flows that were translated meanwhile.
import { bytesSince } from '../../api/journal-reader.js';
import { JOURNAL_NAME } from '../../api/journal-segments.js';
import type { NatBed } from './bed.js';
import { readCounters } from './flow-table.js';
import { nodeOf } from './plan.js';

export interface JournalSample {
  readonly node: string;
  /** Of grants and releases since the node was made; every one of its pods was one grant. */
  readonly bytes: number;
  readonly flows: number;
}

/** Of the islands, as far as they have translated anything. */
export function measureJournal({ plan }: NatBed): JournalSample[] {
  return ['island', 'wide'].flatMap((name) => {
    const node = nodeOf(plan, name);
    const flows = readCounters(node).reduce((sum, { created }) => sum + Number(created), 0);
    return flows === 0 ? [] : [{ node: name, bytes: bytesSince(`${node.stateDir}/${JOURNAL_NAME}`, 0), flows }];
  });
}
