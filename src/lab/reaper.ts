// The lab's side of its reaper: which lab may be removed.
import { untilOrphaned } from '../testbed/reaper.js';
import { takeDown } from './down.js';
import { readRecord } from './record.js';

/** Waits for the owner's end and removes the lab with this id, unless it was dismissed. Returns what stayed. */
export async function reap(id: string): Promise<string[]> {
  const orphaned = await untilOrphaned();
  return orphaned && readRecord()?.id === id ? takeDown() : [];
}
