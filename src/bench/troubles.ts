// What went wrong with TCP on a path, as people read it: nothing where nothing did. Pure.
import type { Troubles } from './clients.js';
import type { TcpCounters } from './counters.js';

const FIGURES = [
  ['retransmits', 'segments sent again'],
  ['resetsSent', 'resets sent'],
  ['connectionsReset', 'connections reset'],
] as const satisfies readonly (readonly [keyof TcpCounters, string])[];

/** Of all runs together, at both ends: `flat: segments sent again 3 (client), 1 (server)`; undefined when all are zero. */
export function describeTroubles(path: string, runs: readonly Troubles[]): string | undefined {
  const total = (of: (run: Troubles) => number): number => runs.reduce((sum, run) => sum + of(run), 0);
  const said = FIGURES.flatMap(([figure, what]) => {
    const ends = [
      ['client', total((run) => run[figure])],
      ['server', total(({ server }) => server?.[figure] ?? 0)],
    ] as const;
    const some = ends.filter(([, count]) => count > 0).map(([end, count]) => `${count} (${end})`);
    return some.length === 0 ? [] : [`${what} ${some.join(', ')}`];
  });
  return said.length === 0 ? undefined : `${path}: ${said.join('; ')}`;
}

/** One note of several; absent when there is nothing to note. */
export function noteOf(parts: readonly (string | undefined)[]): { readonly note?: string } {
  const said = parts.filter((part) => part !== undefined);
  return said.length === 0 ? {} : { note: said.join('; ') };
}
