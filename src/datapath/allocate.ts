// Stable numbers for services: the ids that frontends and backends meet by.

import { canonical, type Table } from './table.js';
import type { BackendKey, Service, ServiceKey } from './types.gen.js';

/** Who needs an id: a name, and the frontends that the maps may know it by. */
export interface Claimant {
  readonly name: string;
  readonly frontends: readonly ServiceKey[];
}

export interface AllocateInput {
  /** In name order. */
  readonly claimants: readonly Claimant[];
  /** Ids in use by name; those of names that are gone become free. */
  readonly previous: ReadonlyMap<string, number>;
  readonly have: {
    readonly services: Table<ServiceKey, Service>;
    readonly backends: Table<BackendKey, unknown>;
  };
}

/**
 * Gives every claimant an id, by name. First by its name, so that an id outlives a change of address; then by what
 * the maps say about its frontends, so that it outlives the agent without a file; else one above all in use: an id
 * that any entry still bears is not handed out.
 */
export function allocateServiceIds({ claimants, previous, have }: AllocateInput): Map<string, number> {
  const ids = new Map<string, number>();
  const used = new Set<number>();
  const take = (name: string, id: number | undefined): void => {
    if (id === undefined || ids.has(name) || used.has(id)) return;
    used.add(id);
    ids.set(name, id);
  };
  for (const { name } of claimants) take(name, previous.get(name));
  for (const { name, frontends } of claimants) {
    for (const frontend of frontends) take(name, have.services.get(canonical(frontend))?.[1].id);
  }
  let next = highestId(used, have) + 1;
  for (const { name } of claimants) if (!ids.has(name)) take(name, next++);
  return ids;
}

/** Of the ids in use, and those that an entry still bears. */
export function highestId(used: ReadonlySet<number>, { services, backends }: AllocateInput['have']): number {
  let highest = 0;
  for (const id of used) highest = Math.max(highest, id);
  for (const [, { id }] of services.values()) highest = Math.max(highest, id);
  for (const [{ service_id: id }] of backends.values()) highest = Math.max(highest, id);
  return highest;
}
