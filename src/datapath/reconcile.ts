// Makes the maps hold what was compiled, in an order in which no packet ever meets half of a change.
import type { Desired, Tables } from './compile.js';
import { diff } from './diff.js';
import { ManagedMap, type WritableMap, type WriteFailure } from './managed-map.js';
import { diffServices, type ServiceDiffs } from './service-diff.js';
import type { CompiledServices } from './services.js';
import { canonical } from './table.js';
import type { BackendKey, ServiceKey } from './types.gen.js';

/** The kernel's maps that the agent writes. */
export type DatapathMaps = { readonly [Name in keyof Tables]: WritableMap<KeyOf<Name>, ValueOf<Name>> };

type EntryOf<Name extends keyof Tables> = Tables[Name] extends ReadonlyMap<string, infer Entry> ? Entry : never;
type KeyOf<Name extends keyof Tables> = EntryOf<Name> extends readonly [infer K, unknown] ? K : never;
type ValueOf<Name extends keyof Tables> = EntryOf<Name> extends readonly [unknown, infer V] ? V : never;
type ManagedMaps = { readonly [Name in keyof Tables]: ManagedMap<KeyOf<Name>, ValueOf<Name>> };

/** What is wanted: as Desired, without what is not in maps. */
export type Wanted = Pick<Desired, 'endpoints' | 'routes' | 'services'>;

export interface Report {
  /** Entries written and removed. */
  readonly written: number;
  readonly removed: number;
  /** What the kernel refused; the next reconcile tries again. */
  readonly failures: readonly WriteFailure[];
  /** Frontends that keep their old backends for now, because one of the new ones could not be written. */
  readonly postponed: readonly ServiceKey[];
  /** Backends that serve a UDP service no more: flows to them may be there. */
  readonly retired: number;
  /** Backends that serve a UDP service from now on. */
  readonly enlisted: number;
}

export class Reconciler {
  readonly #maps: ManagedMaps;
  #applied: CompiledServices | undefined;

  constructor(maps: DatapathMaps) {
    const managed = <Name extends keyof Tables>(name: Name) =>
      new ManagedMap<KeyOf<Name>, ValueOf<Name>>(name, maps[name] as WritableMap<KeyOf<Name>, ValueOf<Name>>);
    this.#maps = {
      endpoints: managed('endpoints'),
      routes: managed('routes'),
      services: managed('services'),
      backends: managed('backends'),
      maglev: managed('maglev'),
      source_ranges: managed('source_ranges'),
      serving: managed('serving'),
      direct_backends: managed('direct_backends'),
    };
  }

  /** What the maps hold. */
  get have(): Tables {
    const { endpoints, routes, services, backends, maglev, source_ranges, serving, direct_backends } = this.#maps;
    return {
      endpoints: endpoints.have,
      routes: routes.have,
      services: services.have,
      backends: backends.have,
      maglev: maglev.have,
      source_ranges: source_ranges.have,
      serving: serving.have,
      direct_backends: direct_backends.have,
    };
  }

  /** The services that the maps hold, all and nothing else; undefined when that is not known. */
  get applied(): CompiledServices | undefined {
    return this.#applied;
  }

  /** Reads the maps; before it, they count as empty. */
  async adopt(): Promise<void> {
    this.#applied = undefined;
    for (const map of Object.values(this.#maps)) await map.adopt();
  }

  /**
   * Writes the difference. Not to be called again before it resolved. The order:
   *
   * 1. new endpoints: whatever leads to a pod must find it;
   * 2. new routes: a prefix that is split or joined is never without a route, so the old ones go later;
   * 3. new backends, and what else a frontend needs: none names their generation yet, so no packet sees them;
   * 4. new frontends: each switches from one complete set of backends to another by one write;
   * 5. old frontends, then the backends that no frontend names any more;
   * 6. old routes and endpoints: by now nothing new is sent there.
   */
  async reconcile(want: Wanted): Promise<Report> {
    const endpoints = diff(this.#maps.endpoints.have, want.endpoints);
    const routes = diff(this.#maps.routes.have, want.routes);
    const services = diffServices({ have: this.have, applied: this.#applied, want: want.services });
    this.#applied = undefined;

    const failures = [...(await this.#maps.endpoints.set(endpoints.set)), ...(await this.#maps.routes.set(routes.set))];
    const { report, failures: refused } = await this.#reconcileServices(services);
    failures.push(...refused);
    failures.push(...(await this.#maps.routes.delete(routes.delete)));
    failures.push(...(await this.#maps.endpoints.delete(endpoints.delete)));
    if (refused.length === 0 && report.postponed.length === 0) this.#applied = want.services;

    const failed = (operation: string) => failures.filter((failure) => failure.operation === operation).length;
    return {
      ...report,
      written: report.written + endpoints.set.length + routes.set.length - failed('set'),
      removed: report.removed + endpoints.delete.length + routes.delete.length - failed('delete'),
      failures,
    };
  }

  /** Counts what was tried. */
  async #reconcileServices(diffs: ServiceDiffs) {
    const { services, backends, maglev, source_ranges, serving, direct_backends } = this.#maps;
    const failures = [
      ...(await direct_backends.set(diffs.direct_backends.set)),
      ...(await serving.set(diffs.serving.set)),
      ...(await source_ranges.set(diffs.source_ranges.set)),
      ...(await backends.set(diffs.backends.set)),
      ...(await maglev.set(diffs.maglev.set)),
    ];
    const { ready, postponed } = this.#split(diffs, failures.length > 0);
    failures.push(...(await services.set(ready)), ...(await services.delete(diffs.services.delete)));
    const isSettled = failures.length === 0;
    const unused = isSettled ? diffs.backends.delete : this.#unused(diffs.backends.delete);
    const tables = isSettled ? diffs.maglev.delete : this.#unused(diffs.maglev.delete);
    failures.push(...(await backends.delete(unused)), ...(await maglev.delete(tables)));
    failures.push(...(await source_ranges.delete(isSettled ? diffs.source_ranges.delete : [])));
    failures.push(...(await serving.delete(diffs.serving.delete)));
    failures.push(...(await direct_backends.delete(diffs.direct_backends.delete)));

    const { direct_backends: direct } = diffs;
    const written = count(ready, direct.set, ...SUPPORT.map((name) => diffs[name].set));
    const ranges = isSettled ? diffs.source_ranges.delete : [];
    const removed = count(unused, tables, ranges, diffs.serving.delete, diffs.services.delete, direct.delete);
    const [retired, enlisted] = [diffs.serving.delete.length, diffs.serving.set.length];
    return { failures, report: { written, removed, postponed, retired, enlisted } };
  }

  /** Frontends whose backends are all in place as wanted, and the others. */
  #split(diffs: ServiceDiffs, mayLack: boolean) {
    const lacking = mayLack ? this.#lacking(diffs) : new Set<number>();
    const entries = diffs.services.set;
    return {
      ready: entries.filter(([, { id }]) => !lacking.has(id)),
      postponed: entries.filter(([, { id }]) => lacking.has(id)).map(([key]) => key),
    };
  }

  /** Ids of services of which something could not be written. */
  #lacking(diffs: ServiceDiffs): Set<number> {
    return new Set(
      SUPPORT.flatMap((name) => {
        const { have } = this.#maps[name];
        const missing = diffs[name].set.filter((entry) => have.get(canonical(entry[0])) !== entry);
        return missing.map(([{ service_id }]) => service_id);
      }),
    );
  }

  /** A frontend that could not be switched or removed still needs its backends. */
  #unused<K extends Pick<BackendKey, 'service_id' | 'generation'>>(keys: readonly K[]): K[] {
    const needed = new Set<string>();
    for (const [, { id, sets }] of this.#maps.services.have.values()) {
      for (const { generation } of sets) needed.add(`${id} ${generation}`);
    }
    return keys.filter(({ service_id, generation }) => !needed.has(`${service_id} ${generation}`));
  }
}

/** What must be there before a frontend that needs it. */
const SUPPORT = ['backends', 'maglev', 'source_ranges', 'serving'] as const;

function count(...lists: readonly (readonly unknown[])[]): number {
  return lists.reduce((sum, list) => sum + list.length, 0);
}
