// Counts of backends that their service has no more: removed, so that whoever comes to the address begins at zero.
import type { BpfMap } from '../bpf/map.js';
import type { CompiledGroup, CompiledServices } from './services.js';
import { canonical } from './table.js';
import type { HitCounter, HitKey } from './types.gen.js';

export type HitMap = Pick<BpfMap<HitKey, readonly HitCounter[]>, 'entries' | 'deleteMany'>;

export class Hits {
  /** The backends that the map has counts of are all in these; undefined when that is not known. */
  #retained: CompiledServices['groups'] | undefined;

  /**
   * Removes the counts of all backends that none of the services has. Looks only at what changed since the last call,
   * if that is known, else at the whole map. Throws NativeError; the next call removes then what this one did not.
   */
  async retain(map: HitMap, { groups, changes }: Pick<CompiledServices, 'groups' | 'changes'>): Promise<void> {
    const before = this.#retained;
    this.#retained = undefined;
    const known = before !== undefined && changes?.since === before;
    const stale = known ? listGone(before, groups, changes.names) : await listStale(map, groups);
    if (stale.length > 0) map.deleteMany(stale);
    this.#retained = groups;
  }
}

type Groups = CompiledServices['groups'];

function listGone(before: Groups, groups: Groups, names: readonly string[]): HitKey[] {
  return names.flatMap((name) => {
    const now = new Set(keysOf(groups.get(name)).map(canonical));
    return keysOf(before.get(name)).filter((key) => !now.has(canonical(key)));
  });
}

async function listStale(map: HitMap, groups: Groups): Promise<HitKey[]> {
  const now = new Set<string>();
  for (const group of groups.values()) for (const key of keysOf(group)) now.add(canonical(key));
  const stale: HitKey[] = [];
  for await (const [key] of map.entries()) if (!now.has(canonical(key))) stale.push(key);
  return stale;
}

function keysOf(group: CompiledGroup | undefined): HitKey[] {
  return (group?.list ?? []).flatMap(({ id, unit }) =>
    unit.backends.map(({ address, port }) => ({ address, service_id: id, port })),
  );
}
