// What must be written so that the maps of services hold what they should. Pure.
import { type Diff, diff, sameValue } from './diff.js';
import { type CompiledService, type ServiceTables, serviceTables } from './service-entries.js';
import { type CompiledServices, listCompiled } from './services.js';
import type { Table } from './table.js';

export type ServiceDiffs = {
  readonly [Name in keyof ServiceTables]: ServiceTables[Name] extends Table<infer K, infer V> ? Diff<K, V> : never;
};

export interface ServiceDiffInput {
  readonly have: ServiceTables;
  /** What `have` was made from, when that is known: then only what is not the same object is compared. */
  readonly applied: CompiledServices | undefined;
  readonly want: CompiledServices;
}

export function diffServices({ have, applied, want }: ServiceDiffInput): ServiceDiffs {
  if (applied === undefined) return diffAll(have, want);
  const changes = listChanges(applied, want);
  const [come, gone] = [changes.come.map(serviceTables), changes.gone.map(serviceTables)];
  const one = <K, V>(pick: (tables: ServiceTables) => Table<K, V>): Diff<K, V> => {
    const wanted = mergeTables(come.map(pick));
    const former = gone.flatMap((tables) => [...pick(tables)]);
    return {
      set: [...wanted].filter(([text, entry]) => !sameValue(pick(have).get(text), entry)).map(([, entry]) => entry),
      delete: former.filter(([text]) => !wanted.has(text)).map(([, [key]]) => key),
    };
  };
  return forEachTable(one);
}

function diffAll(have: ServiceTables, want: CompiledServices): ServiceDiffs {
  const all = Array.from(listCompiled(want), serviceTables);
  return forEachTable((pick) => diff(pick(have), mergeTables(all.map(pick))));
}

type DiffTable = <K, V>(pick: (tables: ServiceTables) => Table<K, V>) => Diff<K, V>;

function forEachTable(one: DiffTable): ServiceDiffs {
  return {
    services: one((tables) => tables.services),
    backends: one((tables) => tables.backends),
    maglev: one((tables) => tables.maglev),
    source_ranges: one((tables) => tables.source_ranges),
    serving: one((tables) => tables.serving),
    direct_backends: one((tables) => tables.direct_backends),
  };
}

/** Units that are new or others than before, and units that are no more as they were. */
function listChanges(applied: CompiledServices, want: CompiledServices) {
  const names = want.changes?.since === applied.groups ? want.changes.names : listChangedNames(applied, want);
  const unitsOf = ({ groups }: CompiledServices): CompiledService[] =>
    names.flatMap((name) => groups.get(name)?.list ?? []);
  return { come: unitsOf(want), gone: unitsOf(applied) };
}

function listChangedNames(applied: CompiledServices, want: CompiledServices): string[] {
  const gone = [...applied.groups.keys()].filter((name) => !want.groups.has(name));
  const others = [...want.groups].filter(([name, group]) => applied.groups.get(name) !== group);
  return [...gone, ...others.map(([name]) => name)];
}

/** Of two entries with one key the first stays. */
export function mergeTables<K, V>(tables: readonly Table<K, V>[]): Map<string, readonly [K, V]> {
  const merged = new Map<string, readonly [K, V]>();
  for (const table of tables) {
    for (const [text, entry] of table) if (!merged.has(text)) merged.set(text, entry);
  }
  return merged;
}
