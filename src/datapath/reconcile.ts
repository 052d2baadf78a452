// Makes the maps hold what was compiled, in an order in which no packet ever meets half of a change.
import type { Tables } from './compile.js';
import { diff } from './diff.js';
import { ManagedMap, type WritableMap, type WriteFailure } from './managed-map.js';
import { canonical } from './table.js';
import type { Backend, BackendKey, Endpoint, Route, RouteKey, Service, ServiceKey } from './types.gen.js';

/** The kernel's maps that the agent writes. */
export interface DatapathMaps {
  readonly endpoints: WritableMap<string, Endpoint>;
  readonly routes: WritableMap<RouteKey, Route>;
  readonly services: WritableMap<ServiceKey, Service>;
  readonly backends: WritableMap<BackendKey, Backend>;
}

export interface Report {
  /** Entries written and removed. */
  readonly written: number;
  readonly removed: number;
  /** What the kernel refused; the next reconcile tries again. */
  readonly failures: readonly WriteFailure[];
  /** Frontends that keep their old backends for now, because one of the new ones could not be written. */
  readonly postponed: readonly ServiceKey[];
}

export class Reconciler {
  readonly #endpoints: ManagedMap<string, Endpoint>;
  readonly #routes: ManagedMap<RouteKey, Route>;
  readonly #services: ManagedMap<ServiceKey, Service>;
  readonly #backends: ManagedMap<BackendKey, Backend>;

  constructor(maps: DatapathMaps) {
    this.#endpoints = new ManagedMap('endpoints', maps.endpoints);
    this.#routes = new ManagedMap('routes', maps.routes);
    this.#services = new ManagedMap('services', maps.services);
    this.#backends = new ManagedMap('backends', maps.backends);
  }

  /** What the maps hold. */
  get have(): Tables {
    return {
      endpoints: this.#endpoints.have,
      routes: this.#routes.have,
      services: this.#services.have,
      backends: this.#backends.have,
    };
  }

  /** Reads the maps; before it, they count as empty. */
  async adopt(): Promise<void> {
    await this.#endpoints.adopt();
    await this.#routes.adopt();
    await this.#services.adopt();
    await this.#backends.adopt();
  }

  /**
   * Writes the difference. Not to be called again before it resolved. The order:
   *
   * 1. new endpoints: whatever leads to a pod must find it;
   * 2. new routes: a prefix that is split or joined is never without a route, so the old ones go later;
   * 3. new backends: no frontend names their generation yet, so no packet sees them while they are incomplete;
   * 4. new frontends: each switches from one complete set of backends to another by one write;
   * 5. old frontends, then the backends that no frontend names any more;
   * 6. old routes and endpoints: by now nothing new is sent there.
   */
  async reconcile(want: Tables): Promise<Report> {
    const endpoints = diff(this.#endpoints.have, want.endpoints);
    const routes = diff(this.#routes.have, want.routes);
    const backends = diff(this.#backends.have, want.backends);
    const services = diff(this.#services.have, want.services);

    const failures = [...(await this.#endpoints.set(endpoints.set)), ...(await this.#routes.set(routes.set))];
    failures.push(...(await this.#backends.set(backends.set)));
    const { ready, postponed } = this.#split(services.set, want.backends);
    failures.push(...(await this.#services.set(ready)), ...(await this.#services.delete(services.delete)));
    const unused = this.#unused(backends.delete);
    failures.push(...(await this.#backends.delete(unused)), ...(await this.#routes.delete(routes.delete)));
    failures.push(...(await this.#endpoints.delete(endpoints.delete)));

    const count = (...lists: readonly (readonly unknown[])[]) => lists.reduce((sum, list) => sum + list.length, 0);
    const failed = (operation: string) => failures.filter((failure) => failure.operation === operation).length;
    return {
      written: count(endpoints.set, routes.set, backends.set, ready) - failed('set'),
      removed: count(endpoints.delete, routes.delete, unused, services.delete) - failed('delete'),
      failures,
      postponed,
    };
  }

  /** Frontends whose backends are all in place as wanted, and the others. */
  #split(entries: readonly (readonly [ServiceKey, Service])[], want: Tables['backends']) {
    const complete = new Map(entries.map(([, service]) => [service, this.#isComplete(service, want)]));
    return {
      ready: entries.filter(([, service]) => complete.get(service)),
      postponed: entries.filter(([, service]) => !complete.get(service)).map(([key]) => key),
    };
  }

  #isComplete({ id, generation, backend_count }: Service, want: Tables['backends']): boolean {
    for (let slot = 0; slot < backend_count; slot++) {
      const text = canonical({ service_id: id, generation, slot } satisfies BackendKey);
      if (canonical(this.#backends.have.get(text)) !== canonical(want.get(text))) return false;
    }
    return true;
  }

  /** A frontend that could not be switched or removed still needs its backends. */
  #unused(keys: readonly BackendKey[]): BackendKey[] {
    const needed = new Map<string, number>();
    for (const [, { id, generation, backend_count }] of this.#services.have.values()) {
      const name = `${id} ${generation}`;
      needed.set(name, Math.max(backend_count, needed.get(name) ?? 0));
    }
    return keys.filter(({ service_id, generation, slot }) => slot >= (needed.get(`${service_id} ${generation}`) ?? 0));
  }
}
