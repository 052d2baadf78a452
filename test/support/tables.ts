// Map contents as sorted lines of text.
import type { Tables } from '../../src/datapath/compile.js';
import { canonical, type Table } from '../../src/datapath/table.js';

export function tableLines<K, V>(table: Table<K, V>): string[] {
  return [...table].map(([text, [, value]]) => `${text} -> ${canonical(value)}`).sort();
}

/** What each frontend leads to, whatever the ids and generations are; throws when a backend is missing. */
export function resolveFrontends({ services, backends }: Pick<Tables, 'services' | 'backends'>): string[] {
  return [...services.values()]
    .map(([{ address, port, protocol }, { id, generation, backend_count }]) => {
      const targets = Array.from({ length: backend_count }, (_, slot) => {
        const entry = backends.get(canonical({ service_id: id, generation, slot }));
        if (entry === undefined) throw new Error(`frontend ${address}:${port} lacks backend ${slot} of service ${id}`);
        return `${entry[1].address}:${entry[1].port}`;
      });
      return `${address}:${port}/${protocol} -> ${targets.join(' ')}`;
    })
    .sort();
}
