// Map contents as sorted lines of text.
import type { Desired, Tables } from '../../src/datapath/compile.js';
import { mergeTables } from '../../src/datapath/service-diff.js';
import { type ServiceTables, serviceTables } from '../../src/datapath/service-entries.js';
import { listCompiled } from '../../src/datapath/services.js';
import { canonical, type Table } from '../../src/datapath/table.js';
import { SERVICE_FLAGS, type Service } from '../../src/datapath/types.gen.js';

export function tableLines<K, V>(table: Table<K, V>): string[] {
  return [...table].map(([text, [, value]]) => `${text} -> ${canonical(value)}`).sort();
}

/** Everything that the maps shall hold. */
export function desiredTables({
  endpoints,
  routes,
  services,
}: Pick<Desired, 'endpoints' | 'routes' | 'services'>): Tables {
  const all = Array.from(listCompiled(services), serviceTables);
  const merge = <K, V>(pick: (tables: ServiceTables) => Table<K, V>) => mergeTables(all.map(pick));
  return {
    endpoints,
    routes,
    services: merge(({ services }) => services),
    backends: merge(({ backends }) => backends),
    maglev: merge(({ maglev }) => maglev),
    source_ranges: merge(({ source_ranges }) => source_ranges),
    serving: merge(({ serving }) => serving),
    direct_backends: merge(({ direct_backends }) => direct_backends),
  };
}

/**
 * What each frontend leads to, whatever the ids and generations are; throws when a backend is missing. Where what comes
 * from the wire goes elsewhere than what this node's pods send, that follows behind a bar.
 */
export function resolveFrontends(tables: Pick<Tables, 'services' | 'backends'>): string[] {
  return [...tables.services.values()]
    .filter(([, { flags }]) => !(flags & SERVICE_FLAGS.SERVICE_ADDRESS))
    .map(([{ address, port, protocol }, service]) => {
      const [internal = '', external = ''] = [0, 1].map((scope) => targetsOf(service, scope, tables.backends));
      const targets = internal === external ? internal : `${internal} | ${external}`;
      return `${address}:${port}/${protocol} -> ${targets}${traits(service)}`;
    })
    .sort();
}

/** `PROTOCOL FRONTEND at POD -> PORT` of all that other nodes may hand over. */
export function directLines(table: Tables['direct_backends']): string[] {
  return [...table.values()]
    .map(([{ pod, address, port, protocol }, to]) => `${protocol} ${address} ${port} at ${pod} -> ${to.port}`)
    .sort();
}

function targetsOf({ id, flags, sets }: Service, scope: number, backends: Tables['backends']): string {
  const { generation, backend_count } = sets[scope] ?? { generation: 0, backend_count: 0 };
  const drop = [SERVICE_FLAGS.SERVICE_DROP_INTERNAL, SERVICE_FLAGS.SERVICE_DROP_EXTERNAL][scope] ?? 0;
  if (backend_count === 0) return flags & drop ? 'dropped' : '';
  return Array.from({ length: backend_count }, (_, slot) => {
    const entry = backends.get(canonical({ service_id: id, generation, slot }));
    if (entry === undefined) throw new Error(`backend ${slot} of service ${id}, generation ${generation}, is missing`);
    return `${entry[1].address}:${entry[1].port}`;
  }).join(' ');
}

function traits({ flags, affinity }: Service): string {
  return (
    (affinity > 0 ? ` affinity=${affinity}` : '') +
    (flags & SERVICE_FLAGS.SERVICE_MAGLEV ? ' maglev' : '') +
    (flags & SERVICE_FLAGS.SERVICE_DIRECT ? ' direct' : '') +
    (flags & SERVICE_FLAGS.SERVICE_SOURCE_RANGES ? ' restricted' : '')
  );
}
