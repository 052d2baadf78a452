// Reads how often services chose their backends: the map `hits`.
import type { Instance } from '../api/instances.js';
import { mapPins } from './pins.js';
import { openTable } from './table.js';
import { type HitCounter, type HitIndex, type HitKey, indexHits } from './view/hits.js';

/** undefined where there is no such map, because the datapath is an earlier one, or it is somewhere else. */
export async function readHits(instance: Instance): Promise<HitIndex | undefined> {
  const pins = await mapPins(instance.state.bpffs).catch((): string[] => []);
  if (!pins.includes('hits')) return undefined;
  using table = await openTable<HitKey, readonly HitCounter[]>(instance, 'hits');
  return indexHits(table.rows());
}
