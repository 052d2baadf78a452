// Contents of the maps `services` and `backends`.
import type { Node } from '../model/node.js';
import type { Snapshot } from '../model/snapshot.js';
import { allocateServiceIds } from './allocate.js';
import { listUnits, type Unit } from './frontends.js';
import { canonical, type Table, toTable } from './table.js';
import type { Backend, BackendKey, Service, ServiceKey } from './types.gen.js';

/** What stands behind an id. */
export interface CompiledService extends Unit {
  readonly id: number;
  readonly generation: number;
}

export interface ServicesInput {
  readonly snapshot: Snapshot;
  readonly node: Node;
  readonly serviceIds: ReadonlyMap<string, number>;
  readonly have: ServiceTables;
}

export interface ServiceTables {
  readonly services: Table<ServiceKey, Service>;
  readonly backends: Table<BackendKey, Backend>;
}

export interface CompiledServices extends ServiceTables {
  readonly ids: ReadonlyMap<string, number>;
  readonly list: readonly CompiledService[];
}

const FIRST_GENERATION = 1;

export function compileServices({ snapshot, node, serviceIds, have }: ServicesInput): CompiledServices {
  const units = listUnits(snapshot, node);
  const ids = allocateServiceIds({ claimants: units, previous: serviceIds, have });
  const newest = newestValues(have.services);
  const list = units.map((unit): CompiledService => {
    const id = ids.get(unit.name) ?? 0;
    return { ...unit, id, generation: chooseGeneration(unit.backends, newest.get(id), have.backends) };
  });
  return {
    services: toTable(list.flatMap(serviceEntries)),
    backends: toTable(list.flatMap(backendEntries)),
    ids,
    list: list.sort((a, b) => a.id - b.id),
  };
}

/** The value with the highest generation that any frontend of an id has. */
function newestValues(services: ServiceTables['services']): Map<number, Service> {
  const newest = new Map<number, Service>();
  for (const [, value] of services.values()) {
    if (value.generation >= (newest.get(value.id)?.generation ?? 0)) newest.set(value.id, value);
  }
  return newest;
}

/**
 * A generation that packets use is never changed: another set of backends is another generation. One that no
 * frontend names yet, because writing it failed half way, is simply written again.
 */
function chooseGeneration(
  backends: readonly Backend[],
  newest: Service | undefined,
  have: ServiceTables['backends'],
): number {
  if (newest === undefined) return FIRST_GENERATION;
  const { id, generation, backend_count } = newest;
  const same =
    backend_count === backends.length &&
    backends.every((backend, slot) => {
      const entry = have.get(canonical({ service_id: id, generation, slot } satisfies BackendKey));
      return entry !== undefined && canonical(entry[1]) === canonical(backend);
    });
  return same ? generation : generation + 1;
}

function serviceEntries({ id, generation, frontends, backends }: CompiledService): [ServiceKey, Service][] {
  return frontends.map((key) => [key, { id, generation, backend_count: backends.length }]);
}

function backendEntries({ id, generation, backends }: CompiledService): [BackendKey, Backend][] {
  return backends.map((backend, slot) => [{ service_id: id, generation, slot }, backend]);
}
