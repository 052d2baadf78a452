// How full the maps are: those that the agent writes, as it knows them, and the flow table, as the kernel counts it.
import type { Datapath, MapFill } from '../datapath/datapath.js';
import type { DatapathMaps, Reconciler } from '../datapath/reconcile.js';

type Readable = Pick<Datapath, 'readCapacity' | 'readFlowTable'>;

/** None before the first load. */
export function readMapFill(datapath: Readable, reconciler: Reconciler | undefined): MapFill[] {
  const flows = datapath.readFlowTable();
  if (flows === undefined || reconciler === undefined) return [];
  const written = Object.entries(reconciler.have).map(([map, { size }]) => {
    return { map, entries: size, maxEntries: datapath.readCapacity(map as keyof DatapathMaps) ?? size };
  });
  return [...written, { map: 'flows', entries: flows.entries, maxEntries: flows.maxEntries }];
}
