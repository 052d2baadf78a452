// Reads how often services chose their backends: the map `hits`.
import type { Instance } from '../api/instances.js';
import { listPins } from './pins.js';
import { openTable } from './table.js';
import { type HitCounter, type HitIndex, type HitKey, indexHits } from './view/hits.js';

/** undefined where an earlier datapath has no such map. */
export async function readHits(instance: Instance): Promise<HitIndex | undefined> {
  if (!(await listPins(instance)).includes('hits')) return undefined;
  using table = await openTable<HitKey, readonly HitCounter[]>(instance, 'hits');
  return indexHits(table.rows());
}
