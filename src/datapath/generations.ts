// Under which generation a set of backends stands in the maps.
import type { Selection } from '../model/selection.js';
import type { Backend as SliceBackend } from '../model/service.js';
import { type BackendSet, type ServiceTables, type Sets, toEntry } from './service-entries.js';
import { canonical } from './table.js';
import type { Backend, BackendKey } from './types.gen.js';

/** A set without backends needs no entries, and so no generation. */
const EMPTY: BackendSet = { generation: 0, backends: [] };

/**
 * A generation that packets use is never changed: another set of backends is another generation. One that no
 * frontend names yet, because writing it failed half way, is simply written again.
 */
export function chooseSets(
  { cluster, local }: Pick<Selection, 'cluster' | 'local'>,
  known: readonly BackendSet[],
): Sets {
  const newest = known.reduce((last, { generation }) => Math.max(last, generation), 0);
  const first = chooseSet(cluster, known, newest);
  return { cluster: first, local: chooseSet(local, [first, ...known], Math.max(newest, first.generation)) };
}

function chooseSet(wanted: readonly SliceBackend[], known: readonly BackendSet[], newest: number): BackendSet {
  if (wanted.length === 0) return EMPTY;
  const same = known.find(({ backends }) => sameBackends(backends, wanted));
  return same ?? { generation: newest + 1, backends: wanted.map(toEntry) };
}

function sameBackends(a: readonly Backend[], b: readonly Backend[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ address, port }, slot) => address === b[slot]?.address && port === b[slot]?.port)
  );
}

/** By id: how many backends each generation has that a frontend names. */
export type SetIndex = ReadonlyMap<number, ReadonlyMap<number, number>>;

export function indexSets(services: ServiceTables['services']): SetIndex {
  const index = new Map<number, Map<number, number>>();
  for (const [, { id, sets }] of services.values()) {
    const counts = index.get(id) ?? new Map<number, number>();
    index.set(id, counts);
    for (const { generation, backend_count } of sets) counts.set(generation, backend_count);
  }
  return index;
}

/** The sets that the maps hold for an id. One with a hole in it is like no other. */
export function findSets(id: number, index: SetIndex, have: ServiceTables['backends']): BackendSet[] {
  return [...(index.get(id) ?? [])].map(([generation, count]) => {
    const backends = Array.from({ length: count }, (_, slot) => {
      const entry = have.get(canonical({ service_id: id, generation, slot } satisfies BackendKey));
      return entry?.[1] ?? MISSING;
    });
    return { generation, backends };
  });
}

const MISSING: Backend = { address: '', port: 0 };
